//! The mesh model against the real thing: the same objects, the same requests, and both must say the same.
//!
//! A case is a way through the mesh (`ways`), broken or changed in one place (`changes`), with the requests that are sent.
//! All cases of a set are applied together, each with a host of its own; then the requests are sent, and what curl, both
//! proxies' access logs and the outside world say (`reality`) is held against the prediction from the objects that the
//! API server then has (`agreement`). A case on which they once disagreed stays in the fixed set.

mod agreement;
mod case;
mod changes;
mod fixed;
mod objects;
mod reality;
mod ways;

use crate::support::open;
use agreement::Agreement;
use reality::Reality;

/// The fixed set: every way with every change that concerns it, and what was once wrong.
#[test]
fn model_and_lab_agree_on_every_case() {
    // Other tests would find its gateway.
    let mut stage = open!(alone);
    let reality = Reality::prepare(&mut stage);
    let mut cases = fixed::cases(&reality.places);
    assert!(cases.len() >= 150, "{} cases are too few", cases.len());
    // While one of them is looked into.
    if let Ok(part) = std::env::var("DIFFERENTIAL_CASES") {
        cases.retain(|case| case.name.contains(&part));
        println!("only the {} cases whose name contains {part:?}", cases.len());
    }
    let agreement = Agreement::of(&reality, &cases);
    println!("{agreement}");
    assert!(agreement.is_whole(), "{}", agreement.disagreements());
}
