//! The policies that are in force, which may be some time behind those that there are.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::object::NetworkPolicy;

/// Policies by key.
pub(super) type Policies = BTreeMap<String, NetworkPolicy>;

/// What is in force, and what will be.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    in_force: Rc<Policies>,
    coming: VecDeque<(Instant, Rc<Policies>)>,
}

impl Timeline {
    /// Takes what is there now. Policies that are new, changed or gone are so after `delay` only.
    pub(super) fn observe(&mut self, now: Instant, policies: &Policies, delay: Duration) {
        let latest = self.coming.back().map_or(&self.in_force, |(_, latest)| latest);
        if !are_same(latest, policies) {
            self.coming.push_back((now + delay, Rc::new(policies.clone())));
        }
    }

    /// Lets time pass; says whether other policies are in force than before.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        let mut changed = false;
        while self.coming.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, policies)) = self.coming.pop_front() {
                self.in_force = policies;
                changed = true;
            }
        }
        changed
    }

    /// Forgets every delay: what is there now is in force.
    pub(super) fn restart(&mut self, policies: &Policies) {
        self.coming.clear();
        self.in_force = Rc::new(policies.clone());
    }

    /// The policies in force.
    pub(super) fn in_force(&self) -> Rc<Policies> {
        Rc::clone(&self.in_force)
    }
}

/// Whether two sets hold the same versions of the same policies.
fn are_same(one: &Policies, other: &Policies) -> bool {
    let version = |policy: &NetworkPolicy| {
        let metadata = &policy.metadata;
        (
            metadata.key(),
            metadata.uid.clone(),
            metadata.resource_version.clone(),
        )
    };
    one.values().map(version).eq(other.values().map(version))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DELAY: Duration = Duration::from_secs(6);

    fn policies(versions: &[(&str, &str)]) -> Policies {
        let policy = |(name, version): &(&str, &str)| {
            let object = json!({"metadata": {"name": name, "resourceVersion": version}});
            ((*name).to_owned(), serde_json::from_value(object).unwrap())
        };
        versions.iter().map(policy).collect()
    }

    fn in_force(timeline: &Timeline) -> Vec<(String, String)> {
        let policies = timeline.in_force();
        let metadata = policies.values().map(|policy| &policy.metadata);
        metadata
            .map(|metadata| (metadata.name.clone(), metadata.resource_version.clone()))
            .collect()
    }

    #[test]
    fn without_delay_everything_is_in_force_at_once() {
        let (mut timeline, now) = (Timeline::default(), Instant::now());
        timeline.observe(now, &policies(&[("a", "1")]), Duration::ZERO);
        assert!(timeline.advance(now));
        assert_eq!(in_force(&timeline), [("a".into(), "1".into())]);
        assert!(!timeline.advance(now));
    }

    #[test]
    fn new_changed_and_deleted_policies_are_late_each_by_itself() {
        let (mut timeline, start) = (Timeline::default(), Instant::now());
        timeline.restart(&policies(&[("a", "1")]));
        let at = |seconds| start + Duration::from_secs(seconds);
        timeline.observe(at(0), &policies(&[("a", "2")]), DELAY);
        timeline.observe(at(1), &policies(&[("a", "2"), ("b", "3")]), DELAY);
        timeline.observe(at(2), &policies(&[("b", "3")]), DELAY);
        assert!(!timeline.advance(at(5)));
        assert_eq!(in_force(&timeline), [("a".into(), "1".into())]);
        assert!(timeline.advance(at(6)));
        assert_eq!(in_force(&timeline), [("a".into(), "2".into())]);
        assert!(timeline.advance(at(7)));
        assert_eq!(in_force(&timeline).len(), 2);
        assert!(timeline.advance(at(60)));
        assert_eq!(in_force(&timeline), [("b".into(), "3".into())]);
    }

    #[test]
    fn the_same_again_does_not_begin_anew() {
        let (mut timeline, start) = (Timeline::default(), Instant::now());
        timeline.observe(start, &policies(&[("a", "1")]), DELAY);
        timeline.observe(start + Duration::from_secs(5), &policies(&[("a", "1")]), DELAY);
        assert!(timeline.advance(start + DELAY));
        assert!(!timeline.advance(start + DELAY * 2));
    }

    #[test]
    fn a_restart_forgets_what_was_coming() {
        let (mut timeline, start) = (Timeline::default(), Instant::now());
        timeline.observe(start, &policies(&[("a", "1")]), DELAY);
        timeline.restart(&policies(&[("b", "1")]));
        assert!(!timeline.advance(start + DELAY));
        assert_eq!(in_force(&timeline), [("b".into(), "1".into())]);
    }
}
