//! Port-forwards carry both directions, report what the pod's side says, and end when dropped.

use super::harness::{Act, PATIENCE, Reply, Server};
use kubectl_egress::vocabulary::PodName;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

fn pod() -> PodName {
    PodName::new("demo", "gateway")
}

#[tokio::test]
async fn bytes_go_both_ways_and_a_drop_closes_the_connection() {
    let server = Server::start(|_, _| Reply::Echo).await;
    let client = server.client().await;
    let mut stream = client.cluster.port_forward(&pod(), 8080).await.unwrap();
    let sent: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut received = vec![0; sent.len()];
    let (written, read) = tokio::join!(
        writer.write_all(&sent),
        timeout(PATIENCE, reader.read_exact(&mut received))
    );
    written.unwrap();
    read.unwrap().unwrap();
    assert_eq!(received, sent);
    stream = reader.unsplit(writer);
    drop(stream);
    let closed = async {
        while server.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(
        server.requests()[0].path,
        "/api/v1/namespaces/demo/pods/gateway/portforward?ports=8080"
    );
}

#[tokio::test]
async fn what_the_pods_side_says_is_the_error_of_the_read() {
    let server = Server::start(|_, _| {
        Reply::Socket(
            "v4.channel.k8s.io",
            vec![
                Act::Send(vec![0, 0x90, 0x1f]),
                Act::Send(vec![1, 0x90, 0x1f]),
                Act::Send(b"\x01connection refused".to_vec()),
                Act::Hang,
            ],
        )
    })
    .await;
    let client = server.client().await;
    let mut stream = client.cluster.port_forward(&pod(), 8080).await.unwrap();
    let error = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "connection refused");
}

#[tokio::test]
async fn a_cut_is_an_error_and_not_an_end_of_file() {
    let server = Server::start(|_, _| {
        Reply::Socket(
            "v4.channel.k8s.io",
            vec![
                Act::Send(vec![0, 0x90, 0x1f]),
                Act::Send(b"\0ab".to_vec()),
                Act::Break,
            ],
        )
    })
    .await;
    let client = server.client().await;
    let mut stream = client.cluster.port_forward(&pod(), 8080).await.unwrap();
    let mut received = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut received))
        .await
        .unwrap();
    assert_eq!(received, b"ab");
    assert!(read.is_err());
}
