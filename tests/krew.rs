//! krew's manifest: its rules, field by field, and a local installation laid out as krew lays it out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use kubectl_egress_lab::release;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn text() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(release::MANIFEST)).unwrap()
}

fn manifest(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A path that stays where it is unpacked.
fn stays_inside(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split(['/', '\\']).all(|part| part != "..")
}

/// Every rule that krew and its index check (krew's `internal/index/validation`, and the index' naming guide).
#[test]
fn the_manifest_keeps_krews_rules() {
    let manifest = manifest(&text());
    assert_eq!(
        manifest["apiVersion"],
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(manifest["kind"], "Plugin");
    let name = manifest["metadata"]["name"].as_str().unwrap();
    assert_eq!(name, "egress", "krew calls the file after it");
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(
        !short.contains('\n') && short.len() <= 50 && !short.ends_with('.'),
        "{short}"
    );
    for key in ["description", "caveats", "homepage"] {
        let value = spec[key].as_str().unwrap();
        assert!(!value.trim().is_empty(), "{key}");
        assert!(value.lines().all(|line| line.chars().count() <= 120), "{key}");
    }
    let platforms = spec["platforms"].as_array().unwrap();
    let mut seen = BTreeSet::new();
    for platform in platforms {
        let labels = platform["selector"]["matchLabels"].as_object().unwrap();
        let keys: Vec<_> = labels.keys().map(String::as_str).collect();
        assert_eq!(
            keys.iter().copied().collect::<BTreeSet<_>>(),
            ["arch", "os"].into()
        );
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        assert!(seen.insert((os.to_owned(), arch.to_owned())), "{os}/{arch} twice");
        let uri = platform["uri"].as_str().unwrap();
        assert!(
            uri.starts_with("https://") && uri.contains(&format!("_{os}_{arch}.")),
            "{uri}"
        );
        assert!(
            uri.ends_with(if os == "windows" { ".zip" } else { ".tar.gz" }),
            "{uri}"
        );
        assert!(is_sha256(platform["sha256"].as_str().unwrap()), "{platform}");
        let binary = platform["bin"].as_str().unwrap();
        assert_eq!(
            binary,
            if os == "windows" {
                "kubectl-egress.exe"
            } else {
                "kubectl-egress"
            }
        );
        let files = platform["files"].as_array().unwrap();
        let from: Vec<_> = files.iter().map(|file| file["from"].as_str().unwrap()).collect();
        assert_eq!(from, [binary, "LICENSE"]);
        for file in files {
            assert!(stays_inside(file["from"].as_str().unwrap()), "{file}");
            assert!(stays_inside(file["to"].as_str().unwrap()), "{file}");
        }
    }
    for os in ["linux", "darwin", "windows"] {
        for arch in ["amd64", "arm64"] {
            assert!(
                seen.contains(&(os.to_owned(), arch.to_owned())),
                "{os}/{arch} is missing"
            );
        }
    }
}

/// Unpacks a local archive as krew does (`store/NAME/VERSION`, a link in `bin` called `kubectl-NAME`), and returns `bin`.
fn install(folder: &Path) -> PathBuf {
    let staged = folder.join("staged");
    std::fs::create_dir(&staged).unwrap();
    std::fs::copy(
        env!("CARGO_BIN_EXE_kubectl-egress"),
        staged.join("kubectl-egress"),
    )
    .unwrap();
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE"),
        staged.join("LICENSE"),
    )
    .unwrap();
    // Every platform's archive is the same here: the checksums are what is looked at.
    let archives = folder.join("archives");
    std::fs::create_dir(&archives).unwrap();
    let first = archives.join("first.tar.gz");
    run(Command::new("tar")
        .args(["-czf"])
        .arg(&first)
        .arg("-C")
        .arg(&staged)
        .args(["kubectl-egress", "LICENSE"]));
    for platform in manifest(&text())["spec"]["platforms"].as_array().unwrap() {
        let uri = platform["uri"].as_str().unwrap().replace("v0.1.0", "v9.8.7");
        std::fs::copy(&first, archives.join(uri.rsplit('/').next().unwrap())).unwrap();
    }
    let filled = release::fill_in(&text(), "v9.8.7", None, &archives).unwrap();
    let filled = manifest(&filled);
    let mine = filled["spec"]["platforms"]
        .as_array()
        .unwrap()
        .iter()
        .find(|platform| platform["selector"]["matchLabels"]["os"] == "linux")
        .unwrap();
    assert_ne!(mine["sha256"], "0".repeat(64));
    let archive = archives.join(mine["uri"].as_str().unwrap().rsplit('/').next().unwrap());
    let name = filled["metadata"]["name"].as_str().unwrap();
    let store = folder
        .join("store")
        .join(name)
        .join(filled["spec"]["version"].as_str().unwrap());
    let unpacked = folder.join("unpacked");
    for made in [&store, &unpacked, &folder.join("bin")] {
        std::fs::create_dir_all(made).unwrap();
    }
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked));
    for file in mine["files"].as_array().unwrap() {
        let from = file["from"].as_str().unwrap();
        std::fs::rename(
            unpacked.join(from),
            store.join(file["to"].as_str().unwrap()).join(from),
        )
        .unwrap();
    }
    let binary = store.join(mine["bin"].as_str().unwrap());
    let bin = folder.join("bin");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&binary, bin.join(format!("kubectl-{name}"))).unwrap();
    bin
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
#[cfg(target_os = "linux")]
fn installed_as_krew_does_it_is_called_through_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let bin = install(folder.path());
    if Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no kubectl on this machine");
        return;
    }
    let kubectl = || {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("kubectl");
        // Nothing here asks a cluster.
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("KUBECONFIG", folder.path().join("none"));
        command
    };
    let version = run(kubectl().args(["egress", "version"]));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let list = run(kubectl().args(["plugin", "list"]));
    assert!(
        list.contains(&format!("{}/kubectl-egress", bin.display())),
        "{list}"
    );
    let ours: Vec<_> = list
        .lines()
        .skip_while(|line| !line.contains(&bin.display().to_string()))
        .collect();
    assert!(
        !ours.iter().take(2).any(|line| line.contains("warning")),
        "{list}"
    );
    let help = run(kubectl().args(["egress", "--help"]));
    assert!(help.contains("kubectl egress"), "{help}");
}

/// What the release workflow makes is what the manifest names: no archive is missing, none is called otherwise.
#[test]
fn the_release_workflow_makes_the_archives_of_the_manifest() {
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/release.yml");
    let workflow: Value = serde_saphyr::from_str(&std::fs::read_to_string(workflow).unwrap()).unwrap();
    let job = &workflow["jobs"]["archive"];
    let pattern = job["env"]["NAME"].as_str().unwrap();
    let tag = manifest(&text())["spec"]["version"].as_str().unwrap().to_owned();
    let rows = job["strategy"]["matrix"]["include"].as_array().unwrap();
    let made: BTreeSet<String> = rows
        .iter()
        .map(|row| {
            let (os, arch) = (row["os"].as_str().unwrap(), row["arch"].as_str().unwrap());
            let target = row["target"].as_str().unwrap();
            let cpu = if arch == "arm64" { "aarch64-" } else { "x86_64-" };
            assert!(target.starts_with(cpu) && target.contains(os), "{row}");
            let name = pattern
                .replace("${{ github.ref_name }}", &tag)
                .replace("${{ matrix.os }}", os)
                .replace("${{ matrix.arch }}", arch);
            format!("{name}{}", if os == "windows" { ".zip" } else { ".tar.gz" })
        })
        .collect();
    let manifest = manifest(&text());
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let named = platforms.iter().map(|platform| platform["uri"].as_str().unwrap());
    let named: BTreeSet<String> = named
        .map(|uri| uri.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(made, named);

    let steps = |job: &str| workflow["jobs"][job]["steps"].as_array().unwrap().clone();
    let says = |job: &str, words: &str| steps(job).iter().any(|step| step.to_string().contains(words));
    for (job, words) in [
        ("archive", "cargo auditable build --release --locked"),
        ("archive", "binary=kubectl-egress.exe"),
        ("archive", r#".zip\" \"$binary\" LICENSE"#),
        ("archive", r#".tar.gz\" \"$binary\" LICENSE"#),
        ("archive", "actions/attest-build-provenance@"),
        ("publish", "sha256sum"),
        ("publish", "manifest --archives archives"),
        ("krew", "rajatjindal/krew-release-bot@"),
    ] {
        assert!(says(job, words), "{job}: {words}");
    }
    // Nothing may be written but the release and its attestations.
    let written = |permissions: &Value| -> BTreeSet<String> {
        let all = permissions.as_object().into_iter().flatten();
        all.filter(|(_, may)| *may == "write")
            .map(|(what, _)| what.clone())
            .collect()
    };
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
    let of_job = |job: &str| written(&workflow["jobs"][job]["permissions"]);
    assert_eq!(
        of_job("archive"),
        ["attestations", "id-token"].map(str::to_owned).into()
    );
    assert_eq!(of_job("publish"), ["contents"].map(str::to_owned).into());
    assert_eq!(of_job("krew"), BTreeSet::new(), "somebody else's program");
}
