//! Two sandboxes in which the same happens, one seen at 80 columns and one at 120.

use crate::normal::{assert_stored, in_order, normal};
use kubectl_egress::cli::{self, Stop};
use kubectl_egress::command;
use kubectl_egress::report::{Printer, ReportSettings};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A sandbox on a socket, with a kubeconfig that leads to it, and to the cluster that is outside of it.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    folder: tempfile::TempDir,
    servers: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for Served {
    fn drop(&mut self) {
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Serves a sandbox; gives its address.
async fn serve(sandbox: &Sandbox) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = sandbox.clone();
    let server = tokio::spawn(async move { serving.serve(listener).await.unwrap() });
    (address, server)
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: u8,
    pub(crate) output: String,
    pub(crate) error: String,
}

/// The usual sandbox, whose pods start at once.
pub(crate) fn quick() -> SandboxSettings {
    SandboxSettings {
        pod_start: Duration::from_millis(5),
        pod_stop: Duration::from_millis(5),
        ..SandboxSettings::default()
    }
}

impl Served {
    pub(crate) async fn new(settings: SandboxSettings) -> Self {
        let target = Sandbox::new(settings.clone().target());
        let sandbox = Sandbox::new(settings);
        sandbox.lead_to(&target);
        let ((address, server), (outside, other)) = tokio::join!(serve(&sandbox), serve(&target));
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: sandbox\n\
             clusters: [{{name: sandbox, cluster: {{server: 'http://{address}'}}}}, \
             {{name: target, cluster: {{server: 'http://{outside}'}}}}]\n\
             users: [{{name: sandbox, user: {{}}}}]\n\
             contexts: [{{name: sandbox, context: {{cluster: sandbox, user: sandbox, namespace: demo}}}}, \
             {{name: target, context: {{cluster: target, user: sandbox, namespace: demo}}}}]\n"
        );
        std::fs::write(folder.path().join("config"), kubeconfig).unwrap();
        Self {
            sandbox,
            folder,
            servers: [server, other],
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Runs a command as it is typed; `{folder}` stands for a folder of its own.
    pub(crate) async fn run(&self, typed: &str, settings: ReportSettings, columns: usize) -> Said {
        let typed = typed.replace("{folder}", self.folder.path().to_str().unwrap());
        let mut words = vec!["kubectl-egress".to_owned()];
        words.extend(typed.split_whitespace().map(str::to_owned));
        if !words.iter().any(|word| word == "--kubeconfig") {
            words.extend(["--kubeconfig".to_owned(), self.kubeconfig().display().to_string()]);
        }
        run(words, settings, columns).await
    }
}

/// A command's future is large, larger still without optimisation; a test's thread has 2 MiB.
pub(crate) const STACK_BYTES: usize = 32 << 20;

/// Runs a command in this process, as `main` does: on a thread and a runtime of its own.
pub(crate) async fn run(words: Vec<String>, settings: ReportSettings, columns: usize) -> Said {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let said = runtime.block_on(run_here(words, settings, columns));
        runtime.shutdown_background();
        let _ = sender.send(said);
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .unwrap();
    receiver.await.unwrap()
}

async fn run_here(words: Vec<String>, settings: ReportSettings, columns: usize) -> Said {
    // Fails only if it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (printer, captured, result) = match cli::parse(words) {
        Ok(invocation) => {
            let screen = &invocation.screen;
            let settings = ReportSettings {
                output: screen.output,
                verbosity: screen.verbosity.max(settings.verbosity),
                quiet: screen.quiet,
                assume_yes: screen.assume_yes,
                ..settings
            };
            let (printer, captured) = Printer::captured_at(settings, columns);
            let result = command::run(invocation, &printer).await;
            (printer, captured, result)
        }
        Err(Stop::Usage(error)) => {
            let (printer, captured) = Printer::captured_at(settings, columns);
            (printer, captured, Err(error))
        }
        Err(Stop::Text(text)) => panic!("help was asked for: {text}"),
    };
    printer.finish().unwrap();
    let code = match result {
        Ok(code) => code.number(),
        Err(error) => {
            printer.error(&error);
            error.code().number()
        }
    };
    Said {
        code,
        output: captured.stdout(),
        error: captured.stderr(),
    }
}

/// The same twice.
pub(crate) struct Stage([Served; 2]);

/// The columns of each.
const COLUMNS: [usize; 2] = [80, 120];

impl Stage {
    pub(crate) async fn new(settings: SandboxSettings) -> Self {
        Self([Served::new(settings.clone()).await, Served::new(settings).await])
    }

    pub(crate) fn each(&self, mut act: impl FnMut(&Served)) {
        self.0.iter().for_each(&mut act);
    }

    /// Runs a command in both and compares what is seen with the stored snapshot.
    pub(crate) async fn sees(&self, name: &str, typed: &str) {
        let [first, second] = &self.0;
        let (narrow, wide) = tokio::join!(
            first.run(typed, ReportSettings::default(), COLUMNS[0]),
            second.run(typed, ReportSettings::default(), COLUMNS[1])
        );
        let (narrow, wide) = (shown(&narrow), shown(&wide));
        let mut text = format!("$ kubectl egress {typed}\n{narrow}");
        if wide != narrow {
            text.push_str("\n==== at 120 columns\n");
            text.push_str(&wide);
        }
        assert_stored(name, &text);
    }

    /// Runs a command that changes nothing in the first, and compares its JSON with the stored snapshot.
    pub(crate) async fn tells(&self, name: &str, typed: &str) {
        let typed = format!("{typed} -o json");
        let said = self.0[0].run(&typed, ReportSettings::default(), COLUMNS[0]).await;
        let text = format!(
            "$ kubectl egress {typed}\n{}[exit {}]\n",
            normal(&said.output),
            said.code
        );
        assert_stored(&format!("{name}.json"), &text);
    }

    /// Runs a command in both for what it does.
    pub(crate) async fn does(&self, typed: &str) {
        for (served, columns) in self.0.iter().zip(COLUMNS) {
            let said = served.run(typed, ReportSettings::default(), columns).await;
            assert_eq!(said.code, 0, "{typed}: {}", said.error);
        }
    }
}

fn shown(said: &Said) -> String {
    let mut text = in_order(&normal(&said.error));
    if !said.output.is_empty() {
        text.push_str("(standard output)\n");
        text.push_str(&normal(&said.output));
    }
    text + &format!("[exit {}]\n", said.code)
}
