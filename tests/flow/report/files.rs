//! `report --write`: at once or not at all, nothing overwritten, no link followed.

use crate::served::served;

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace --no-probe";

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_report_replaces_nothing_that_is_there_and_follows_no_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let cluster = served().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, target, link) = (
        folder.path().join("a.html"),
        folder.path().join("precious"),
        folder.path().join("link.html"),
    );
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    // Refused before there is a plan to look for.
    let command =
        |path: &std::path::Path| format!("report -n demo --skip-unmeshed --write {}", path.display());
    for taken in [&target, &link] {
        let refused = cluster.run(&command(taken)).await.exits(2);
        assert!(
            refused.stderr.contains("is there already") && refused.stderr.contains("--force"),
            "{refused:?}"
        );
    }
    cluster.run(SET_UP).await.exits(0);
    let written = cluster.run(&command(&file)).await.exits(0);
    assert!(written.stdout.is_empty(), "{written:?}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"),
        "{page}"
    );
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    cluster.run(&format!("{} --force", command(&link))).await.exits(0);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    assert!(!std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_a_file_says_what_it_would_write_and_asks_nobody() {
    let cluster = served().await;
    let said = cluster.run("report -n demo").await.exits(0);
    assert!(said.stdout.contains("report --write egress.html"), "{said:?}");
    assert!(cluster.sandbox.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_a_command_has_not_are_refused_as_typed() {
    let cluster = served().await;
    for line in [
        "status -o html",
        "setup kyma-project.io -o junit",
        "report -o junit",
        "report --bundle a.tar.gz -o html",
        "report --write a.html -o yaml",
        "report --write a.html --bundle a.tar.gz",
    ] {
        cluster.run(line).await.exits(2);
    }
}
