//! Bodies of answers that a fault spoils: cut, held, slowed, with strange bytes in front, out of order.

use super::api::Reply;
use super::fault::FaultKind;
use super::server::{ReplyBody, cut};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Spoils the body as the fault says. Upgraded streams spoil themselves.
pub(super) fn spoiled(reply: Reply, fault: Option<&FaultKind>) -> Reply {
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        return reply;
    }
    match fault {
        Some(FaultKind::CutAfterBytes(bytes)) => limited(reply, *bytes, false),
        Some(FaultKind::HangAfterBytes(bytes)) => limited(reply, *bytes, true),
        Some(FaultKind::Before(bytes)) => reply.map(|body| preceded(bytes.clone(), body)),
        Some(FaultKind::Trickle(pause)) => reply.map(|body| trickling(*pause, body)),
        Some(FaultKind::Reordered) => reply.map(swapped),
        _ => reply,
    }
}

fn limited(reply: Reply, left: usize, hang: bool) -> Reply {
    reply.map(|body| Limited { body, left, hang }.boxed_unsync())
}

/// These bytes, then the body.
fn preceded(bytes: Bytes, body: ReplyBody) -> ReplyBody {
    let first = futures::stream::once(std::future::ready(Ok(Frame::data(bytes))));
    let rest = http_body_util::BodyStream::new(body);
    StreamBody::new(futures::StreamExt::chain(first, rest)).boxed_unsync()
}

/// One byte at a time.
fn trickling(pause: Duration, body: ReplyBody) -> ReplyBody {
    let stream = futures::stream::unfold(
        (body, BytesMut::new()),
        move |(mut body, mut waiting)| async move {
            while waiting.is_empty() {
                match body.frame().await? {
                    Ok(frame) => waiting.extend(frame.into_data().ok()),
                    Err(error) => return Some((Err(error), (body, waiting))),
                }
            }
            tokio::time::sleep(pause).await;
            let byte = waiting.split_to(1).freeze();
            Some((Ok(Frame::data(byte)), (body, waiting)))
        },
    );
    StreamBody::new(stream).boxed_unsync()
}

/// The first block of the body behind the second one.
fn swapped(body: ReplyBody) -> ReplyBody {
    let stream = futures::stream::unfold((body, None, true), |(mut body, held, first)| async move {
        if let Some(held) = held {
            return Some((held, (body, None, false)));
        }
        let frame = body.frame().await?;
        if !first {
            return Some((frame, (body, None, false)));
        }
        match body.frame().await {
            Some(second) => Some((second, (body, Some(frame), false))),
            None => Some((frame, (body, None, false))),
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// A body that stops after so many bytes.
struct Limited {
    body: ReplyBody,
    left: usize,
    hang: bool,
}

impl hyper::body::Body for Limited {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return if self.hang {
                Poll::Pending
            } else {
                Poll::Ready(Some(Err(cut())))
            };
        }
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            // A body that ends before its limit is cut as well: the fault was asked for.
            Poll::Ready(None) => {
                self.left = 0;
                return self.poll_frame(context);
            }
            other => return other,
        };
        let Ok(mut data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        data.truncate(self.left);
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
