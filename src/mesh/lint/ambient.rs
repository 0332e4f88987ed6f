//! Ambient mode, of which no rule knows anything: it is named rather than passed over.
//!
//! Source: domain.md problems 4, 35.

use super::super::ambient::{MODE, is_ambient};
use super::scene::is_meshed;
use super::{Remark, Subject};
use crate::finding::catalogue;
use crate::vocabulary::Object;

pub(super) fn check(subject: &Subject<'_>, remarks: &mut Vec<Remark>) {
    let of_kind = |kind: &'static str| {
        let objects = subject.objects.iter();
        objects.filter(move |object| object.text("/kind") == kind && object.text("/apiVersion") == "v1")
    };
    for namespace in of_kind("Namespace").filter(|namespace| is_ambient(namespace)) {
        let said = format!("namespace {} has the label {MODE}=ambient", namespace.name());
        remarks.push(remark(&said, namespace).of(namespace.name()));
    }
    for pod in of_kind("Pod").filter(|pod| is_ambient(pod) && !is_meshed(pod)) {
        let said = format!(
            "pod {}/{} has the label {MODE}=ambient",
            pod.namespace().unwrap_or_default(),
            pod.name()
        );
        remarks.push(remark(&said, pod));
    }
}

fn remark(said: &str, object: &Object) -> Remark {
    let message = format!("not modelled: ambient mode; {said}");
    Remark::new(&catalogue::AMBIENT_NOT_MODELLED, message).about(object)
}
