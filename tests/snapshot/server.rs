//! `sandbox` as a server: what it says before it serves.

use crate::normal::{assert_stored, normal};
use crate::stage::STACK_BYTES;
use kubectl_egress::cli;
use kubectl_egress::command;
use kubectl_egress::report::{Printer, ReportSettings};
use std::time::Duration;

/// Both streams of a server that was left as soon as it had said what to do next; on a thread with room for it.
fn first_lines(typed: &'static str, columns: usize) -> String {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let serving = thread.spawn(move || serve(typed, columns)).unwrap();
    serving.join().unwrap()
}

fn serve(typed: &str, columns: usize) -> String {
    let words = std::iter::once("kubectl-egress").chain(typed.split_whitespace());
    let invocation = cli::parse(words).unwrap();
    let (printer, captured) = Printer::captured_at(ReportSettings::default(), columns);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let said_all = async {
            while !captured.stderr().contains("next: ") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = Box::pin(command::run(invocation, &printer)) => panic!("it ended: {ended:?}"),
            () = said_all => {}
        }
    });
    normal(&format!(
        "{}(standard output)\n{}",
        captured.stderr(),
        captured.stdout()
    ))
}

#[test]
fn the_sandbox_says_how_to_reach_it() {
    for (name, typed) in [
        ("sandbox", "sandbox"),
        ("sandbox_kyma", "sandbox --platform kyma --fault quota"),
    ] {
        let (narrow, wide) = (first_lines(typed, 80), first_lines(typed, 120));
        let mut text = format!("$ kubectl egress {typed}\n{narrow}");
        if wide != narrow {
            text.push_str("\n==== at 120 columns\n");
            text.push_str(&wide);
        }
        assert_stored(name, &text);
    }
}
