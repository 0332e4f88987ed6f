//! Whether the API server is there, and the admission webhooks that it asks. A restart, or a replacement behind a load
//! balancer, takes seconds; a command that has begun is worth that wait, and one that cannot even begin is not.

use super::failure::Failure;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long the pauses between the tries of a request take together at most while the server is away; how long a webhook is
/// waited for (istiod that is rolled out: the lab, where its Service lags behind its pods); and for how long
/// after its return it may still answer with an internal error: one that has just started has not read everything yet
/// (seen on the lab: "failed to allocate a serviceIP: range is full").
pub(super) const AWAY: Duration = Duration::from_secs(15);

/// What is known of it. Requests are many at once, and go on by each other's news.
#[derive(Debug, Default)]
pub(super) struct Presence(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// It has answered, and was not given up since.
    has_answered: bool,
    /// The last connection failed.
    is_failing: bool,
    /// That it is away was said, and it has not answered since.
    is_told: bool,
    /// When it answered again after a failure.
    back: Option<Instant>,
    /// The webhooks that it could not call.
    webhooks: BTreeMap<String, Webhook>,
}

/// How it stands with a webhook that could not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Webhook {
    /// That it is away was said.
    Told,
    /// It was waited for in vain. What is written next does not wait again.
    GivenUp,
}

impl Presence {
    /// It answered, whatever it said.
    pub(super) fn answered(&self) {
        let mut known = self.known();
        if std::mem::take(&mut known.is_failing) {
            known.back = Some(Instant::now());
        }
        known.has_answered = true;
        known.is_told = false;
    }

    /// A request failed so.
    pub(super) fn failed(&self, failure: &Failure) {
        if failure.is_of_network() {
            self.known().is_failing = true;
        }
    }

    /// Whether a request may have failed so because the server restarts.
    pub(super) fn may_restart(&self, failure: &Failure) -> bool {
        let known = self.known();
        if failure.is_of_network() {
            return known.has_answered;
        }
        let is_back = known.back.is_some_and(|back| back.elapsed() < AWAY);
        is_back && matches!(failure.code(), Some(500 | 503))
    }

    /// The next requests have no more patience than with a server that was never there.
    pub(super) fn given_up(&self) {
        self.known().has_answered = false;
    }

    /// Whether this is the first to tell that it is away.
    pub(super) fn is_first_to_tell(&self) -> bool {
        !std::mem::replace(&mut self.known().is_told, true)
    }

    /// Whether a webhook that could not be called is worth waiting for.
    pub(super) fn may_return(&self, webhook: &str) -> bool {
        self.known().webhooks.get(webhook) != Some(&Webhook::GivenUp)
    }

    /// A webhook was waited for in vain.
    pub(super) fn given_up_webhook(&self, webhook: &str) {
        let webhook = webhook.to_owned();
        self.known().webhooks.insert(webhook, Webhook::GivenUp);
    }

    /// Whether this is the first to tell that a webhook is away.
    pub(super) fn is_first_to_tell_of(&self, webhook: &str) -> bool {
        let mut known = self.known();
        let is_first = !known.webhooks.contains_key(webhook);
        if is_first {
            known.webhooks.insert(webhook.to_owned(), Webhook::Told);
        }
        is_first
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
