//! The arrows of the design: which module may import which. The table in `src/lib.rs` says the same in words.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module, and what it may import besides `vocabulary` and `error`. `command` and `main` may import everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("vocabulary", &[]),
    ("error", &[]),
    ("finding", &[]),
    ("istio", &[]),
    ("cli", &[]),
    ("certificate", &["finding"]),
    ("plan", &["istio", "finding", "certificate"]),
    ("mesh", &["istio", "finding"]),
    ("evidence", &["istio", "finding"]),
    ("cluster", &["istio"]),
    (
        "engine",
        &[
            "plan",
            "evidence",
            "mesh",
            "cluster",
            "finding",
            "istio",
            "certificate",
        ],
    ),
    ("report", &["engine", "evidence", "finding", "certificate"]),
    ("sandbox", &["mesh", "istio", "certificate"]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Names behind every `crate::` of a source text, outside comments; grouped imports included.
fn imports(text: &str) -> BTreeSet<String> {
    let code = without_comments(text);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            for item in group.split('}').next().unwrap_or_default().split(',') {
                found.insert(first_word(item.trim()));
            }
        } else {
            found.insert(first_word(rest));
        }
    }
    found.remove("");
    found
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
        .collect()
}

#[test]
fn every_import_follows_an_arrow() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut broken = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        let Some(allowed) = arrows.get(module.as_str()) else {
            continue;
        };
        for import in imports(&std::fs::read_to_string(&file).unwrap()) {
            let fine = import == module
                || ["vocabulary", "error"].contains(&import.as_str())
                || allowed.contains(&import.as_str());
            let exempt = module == "vocabulary" && import == "error";
            if !fine || exempt {
                broken.push(format!("{} imports {import}", inside.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_the_client_knows_kube() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let strangers: Vec<_> = rust_files(&source)
        .into_iter()
        .filter(|file| !file.starts_with(source.join("cluster")))
        .filter(|file| {
            let text = without_comments(&std::fs::read_to_string(file).unwrap());
            text.contains("kube::Client") || text.contains("kube::Api") || text.contains("kube::{")
        })
        .collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
}

/// The lines of the table of dependencies: name, and the reason behind it.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let table = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let lines = table.split("\n[").next().unwrap().lines();
    lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, rest)| (name, rest.split_once(" # ").map_or("", |(_, reason)| reason)))
        .collect()
}

#[test]
fn every_dependency_has_its_reason_and_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let files = rust_files(&root.join("src"));
    let texts: Vec<String> = files
        .iter()
        .map(|file| without_comments(&std::fs::read_to_string(file).unwrap()))
        .collect();
    let mut wrong = Vec::new();
    for (name, reason) in dependencies(&manifest) {
        if reason.split(' ').count() < 2 {
            wrong.push(format!("{name} has no reason"));
        }
        let path = format!("{}::", name.replace('-', "_"));
        if !texts.iter().any(|text| text.contains(&path)) {
            wrong.push(format!("{name} is not used"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_dependencies_keep_to_their_budget() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let budget = manifest.lines().find_map(|line| line.strip_prefix("crates = "));
    let budget: usize = budget.unwrap().parse().unwrap();
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            "kubectl-egress",
            "--edges",
            "normal",
        ])
        .args([
            "--target",
            "x86_64-unknown-linux-musl",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let listed = String::from_utf8(tree.stdout).unwrap();
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let crates: BTreeSet<String> = listed.lines().map(name_and_version).collect();
    // One that is far below it was forgotten.
    assert!(
        crates.len() <= budget,
        "{} crates, {budget} are written down",
        crates.len()
    );
    assert!(
        crates.len() + 5 > budget,
        "only {} crates: write that down",
        crates.len()
    );
}

#[test]
fn the_table_finds_what_it_is_for() {
    assert_eq!(
        imports(
            "use crate::engine::Event; // crate::report\nlet x = crate::plan::y();\nuse crate::{cli, mesh::World};"
        ),
        ["cli", "engine", "mesh", "plan"].map(str::to_owned).into()
    );
}
