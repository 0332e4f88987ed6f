//! Which Go modules are built, from which sources, with which flags.

/// Istio's template of Envoy's bootstrap configuration, as it is called in the cache.
pub(super) const ISTIO_BOOTSTRAP: &str = "envoy_bootstrap_tmpl.json";

/// One program of a module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    /// What the binary is called in the cache.
    pub(super) name: &'static str,
    /// The package that is its main.
    pub(super) package: &'static str,
    /// Flags of the linker.
    pub(super) linker_flags: &'static str,
}

/// One Go module and what is built from it.
#[derive(Clone, Copy)]
pub(super) struct Module {
    /// What its folder in the cache is called.
    pub(super) name: &'static str,
    /// Names and contents of its sources.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// The programs.
    pub(super) programs: &'static [Program],
    /// Files that are copied from a required module: module, path in it, name in the cache.
    pub(super) copies: &'static [(&'static str, &'static str, &'static str)],
}

macro_rules! sources {
    ($folder:literal: $($file:literal),+) => {
        &[$(($file, include_str!(concat!("../../go/", $folder, "/", $file)))),+]
    };
}

const STRIPPED: &str = "-s -w";
const ISTIO_FLAGS: &str = "-s -w -X istio.io/istio/pkg/version.buildVersion=1.31.0 \
    -X istio.io/istio/pkg/version.buildGitRevision=eed52ebb66ad \
    -X istio.io/istio/pkg/version.buildTag=1.31.0 \
    -X istio.io/istio/pkg/version.buildHub=lab";
const KUBERNETES_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=34";

const fn istio(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        linker_flags: ISTIO_FLAGS,
    }
}

/// Every module of the lab.
pub(super) const MODULES: &[Module] = &[
    Module {
        name: "kubernetes",
        files: sources!("kubernetes": "go.mod", "go.sum", "main.go", "context.go"),
        programs: &[Program {
            name: "kubernetes",
            package: ".",
            linker_flags: KUBERNETES_FLAGS,
        }],
        copies: &[],
    },
    Module {
        name: "istio",
        files: sources!("istio": "go.mod", "go.sum", "tools.go"),
        programs: &[
            istio("pilot-discovery", "istio.io/istio/pilot/cmd/pilot-discovery"),
            istio("pilot-agent", "istio.io/istio/pilot/cmd/pilot-agent"),
            istio("istioctl", "istio.io/istio/istioctl/cmd/istioctl"),
        ],
        copies: &[(
            "istio.io/istio",
            "tools/packaging/common/envoy_bootstrap.json",
            ISTIO_BOOTSTRAP,
        )],
    },
    Module {
        name: "etcd",
        files: sources!("etcd": "go.mod", "go.sum", "main.go"),
        programs: &[Program {
            name: "etcd",
            package: ".",
            linker_flags: STRIPPED,
        }],
        copies: &[],
    },
    Module {
        name: "coredns",
        files: sources!("coredns": "go.mod", "go.sum", "main.go"),
        programs: &[Program {
            name: "coredns",
            package: ".",
            linker_flags: STRIPPED,
        }],
        copies: &[],
    },
    Module {
        name: "httpbin",
        files: sources!("httpbin": "go.mod", "go.sum", "main.go"),
        programs: &[Program {
            name: "go-httpbin",
            package: ".",
            linker_flags: STRIPPED,
        }],
        copies: &[],
    },
];
