//! An admission webhook that the API server cannot call is waited for: istiod that is rolled out is back within seconds.

use super::harness::observer;
use http_body_util::Full;
use kubectl_egress::cluster::{Cluster, Notice};
use kubectl_egress::error::Result;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{ExitCode, Object, ObjectReference};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// As the lab's API server says it.
const UNCALLED: &str = "Internal error occurred: failed calling webhook \"validation.istio.io\": failed to call webhook: Post \
    \"https://istiod.istio-system.svc:443/validate?timeout=10s\": dial tcp 10.96.0.9:443: connect: connection refused";

fn object() -> Object {
    Object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "demo"}}))
}

/// A server whose webhook cannot be called until some moment; each refusal takes it some time. With the requests counted.
struct Served {
    cluster: Cluster,
    notices: Arc<Mutex<Vec<Notice>>>,
    requests: Arc<AtomicUsize>,
}

impl Served {
    fn new(away: Duration, each: Duration) -> Self {
        let (observer, notices) = observer();
        let requests = Arc::new(AtomicUsize::new(0));
        let (begun, count) = (Instant::now(), Arc::clone(&requests));
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                let (code, body) = if begun.elapsed() < away {
                    tokio::time::sleep(each).await;
                    let status = json!({"kind": "Status", "status": "Failure", "reason": "InternalError",
                        "message": UNCALLED, "code": 500});
                    (500, status)
                } else {
                    (201, object().0)
                };
                let mut response = http::Response::new(Full::new(bytes::Bytes::from(body.to_string())));
                *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        Self {
            cluster: Cluster::over_service(service, "demo", "sandbox", observer),
            notices,
            requests,
        }
    }

    /// What is not to be done twice.
    async fn create(&self) -> Result<Object> {
        let reference = ObjectReference::namespaced(kinds::config_map(), "demo", "a");
        self.cluster.create(&reference, &object(), false).await
    }

    /// Who was told to be away.
    fn told(&self) -> Vec<String> {
        let notices = self.notices.lock().unwrap();
        let away = notices.iter().filter_map(|notice| match notice {
            Notice::Away { who, .. } => Some(who.clone()),
            _ => None,
        });
        away.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_admitted_is_asked_for_again_also_what_is_done_once_only() {
    let served = Served::new(Duration::from_secs(8), Duration::ZERO);
    let (first, second) = tokio::join!(served.create(), served.create());
    first.unwrap();
    second.unwrap();
    assert_eq!(served.told(), ["the admission webhook `validation.istio.io`"]);
}

#[tokio::test(start_paused = true)]
async fn a_moment_of_it_is_not_worth_a_word() {
    let served = Served::new(Duration::from_millis(300), Duration::ZERO);
    served.create().await.unwrap();
    assert_eq!(served.told(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_away_is_given_up_once_and_not_for_each_request() {
    let served = Served::new(Duration::from_secs(3600), Duration::ZERO);
    let begun = Instant::now();
    let error = served.create().await.unwrap_err();
    let long = begun.elapsed();
    assert!(
        long > Duration::from_secs(14) && long < Duration::from_secs(16),
        "{long:?}"
    );
    assert_eq!(error.code(), ExitCode::Cluster);
    let shown = format!("{error:?}");
    assert!(
        shown.contains("the admission webhook `validation.istio.io` does not work"),
        "{shown}"
    );
    let before = served.requests.load(Ordering::SeqCst);
    let begun = Instant::now();
    served.create().await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(served.requests.load(Ordering::SeqCst), before + 1);
}

/// A webhook that does not answer keeps the server as long as its own deadline, ten seconds for Istio's.
#[tokio::test(start_paused = true)]
async fn what_the_server_waited_counts() {
    let served = Served::new(Duration::from_secs(3600), Duration::from_secs(10));
    let begun = Instant::now();
    served.create().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(26), "{:?}", begun.elapsed());
    assert_eq!(served.requests.load(Ordering::SeqCst), 2);
    assert_eq!(served.told(), ["the admission webhook `validation.istio.io`"]);
}
