//! Documents, lines, Lists, refusals.

use super::*;

const TWO: &str = "# a comment
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: own}
spec:
---

# another
apiVersion: v1
kind: Namespace
metadata: {name: two}
---
...
";

fn described(text: &str) -> Vec<(usize, String)> {
    let objects = of_text("f", text, "given").unwrap();
    let describe = |found: &FileObject| {
        let namespace = found.object.namespace().unwrap_or("-").to_owned();
        (
            found.line,
            format!(
                "{} {namespace}/{}",
                found.object.text("/kind"),
                found.object.name()
            ),
        )
    };
    objects.iter().map(describe).collect()
}

#[test]
fn each_document_has_the_line_it_begins_at() {
    let expected = vec![
        (3, "Service own/one".to_owned()),
        (10, "Namespace -/two".to_owned()),
    ];
    assert_eq!(described(TWO), expected);
}

#[test]
fn a_list_is_its_items_and_a_namespace_is_given_to_whom_lacks_one() {
    let list = r#"
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]}
{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "b"}}]}"#;
    let expected = vec![(2, "Pod given/a".to_owned()), (4, "Pod given/b".to_owned())];
    assert_eq!(described(list), expected);
}

#[test]
fn a_marker_inside_a_text_of_more_than_one_line_ends_nothing_when_it_is_indented() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    ---\n    b\n";
    assert_eq!(described(text), vec![(1, "ConfigMap given/c".to_owned())]);
}

#[test]
fn what_is_null_is_not_there() {
    let objects = of_text("f", TWO, "x").unwrap();
    assert!(objects[0].object.0.get("spec").is_none());
}

#[rstest::rstest]
#[case("a: [1\nb: 2\n", "f, line", "no valid YAML")]
#[case("{\"kind\": }", "f, line 1", "no valid JSON")]
#[case("---\n\nreplicas: 3\n", "f, line 3", "no Kubernetes object")]
#[case("apiVersion: v1\nkind: Pod\n", "f, line 1", "has no name")]
fn what_is_no_object_is_refused_with_its_place(#[case] text: &str, #[case] place: &str, #[case] why: &str) {
    let error = of_text("f", text, "x").unwrap_err();
    assert!(
        error.message().contains(place) && error.message().contains(why),
        "{error}"
    );
    assert_eq!(error.code(), crate::vocabulary::ExitCode::Usage);
    assert!(!error.hints().is_empty());
}

#[test]
fn a_fault_in_the_second_document_is_told_at_its_own_line() {
    let error = of_text(
        "f",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nx: y\nb: [\n",
        "x",
    )
    .unwrap_err();
    let line = error.message().split("line ").nth(1).unwrap();
    assert!(line.starts_with(['6', '7']), "{error}");
}

#[test]
fn a_directory_is_read_by_name_and_other_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let pod = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n");
    std::fs::create_dir(directory.path().join("b")).unwrap();
    for (file, name) in [("c.yaml", "third"), ("a.yml", "first"), ("b/x.json", "second")] {
        let text = if std::path::Path::new(file)
            .extension()
            .is_some_and(|ending| ending == "json")
        {
            "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"second\"}}".to_owned()
        } else {
            pod(name)
        };
        std::fs::write(directory.path().join(file), text).unwrap();
    }
    std::fs::write(directory.path().join("README.md"), "no: [").unwrap();
    let objects = read(&[directory.path().to_owned()], "x").unwrap();
    let names: Vec<&str> = objects.iter().map(|found| found.object.name()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    let empty = tempfile::tempdir().unwrap();
    assert!(
        read(&[empty.path().to_owned()], "x")
            .unwrap_err()
            .message()
            .contains("holds no YAML")
    );
}
