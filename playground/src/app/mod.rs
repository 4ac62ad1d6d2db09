//! The demo application: a small hyper server that says which release, half and host answered.

mod answer;
mod restart;

pub use restart::{Restart, pid_file, restart, stop};

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::behaviour::{APP_FILE, App};
use crate::error::{Error, Naming, Result};

/// An idle connection is closed after this, as Node does.
const IDLE: Duration = Duration::from_secs(5);
/// Pause between two looks at a file that keeps it from listening.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long requests under way may take to finish after SIGTERM.
const FINISH: Duration = Duration::from_secs(10);

/// Where one application runs, and as what.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The deploy root; the release is what `current` in it points to.
    pub root: PathBuf,
    /// Address and port.
    pub listen: SocketAddr,
    /// The pool's name, for the answers.
    pub pool: String,
    /// The half's name, for the answers.
    pub half: String,
    /// The host's name, for the answers.
    pub host: String,
}

/// The log of an application, below its host's directory.
pub fn log_file(host_dir: &Path, pool: &str, port: u16) -> PathBuf {
    host_dir.join("run").join(format!("{pool}-{port}.log"))
}

/// What the running application knows of itself.
pub(crate) struct Running {
    pub(crate) serving: Serving,
    pub(crate) app: App,
    pub(crate) began: Instant,
}

/// Reads the release that `current` points to.
fn read_release(root: &Path) -> Result<App> {
    let file = root.join("current").join(APP_FILE);
    let text = fs::read_to_string(&file).naming("cannot read", &file)?;
    serde_json::from_str(&text).map_err(|error| Error::Unknown(format!("`{}`: {error}", file.display())))
}

/// Serves until SIGTERM (then finishes what is under way), or until the release's behaviour ends it.
pub fn serve(serving: Serving) -> Result<()> {
    // A session of its own: it must outlive the ssh session that started it.
    let _leader_already = nix::unistd::setsid();
    let app = read_release(&serving.root)?;
    if let Some(last_words) = &app.behaviour.crashes {
        return Err(Error::Unknown(last_words.clone()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .naming("cannot start", "the application's runtime")?;
    runtime.block_on(run(Arc::new(Running { serving, app, began: Instant::now() })))
}

async fn run(running: Arc<Running>) -> Result<()> {
    let behaviour = &running.app.behaviour;
    let mut terminate = signal(SignalKind::terminate()).naming("cannot listen for", "SIGTERM")?;
    tokio::time::sleep(Duration::from_millis(behaviour.starts_after_ms)).await;
    while behaviour.silent_while.as_deref().is_some_and(Path::exists) {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let address = running.serving.listen;
    let listener = TcpListener::bind(address).await.naming("cannot listen on", address.to_string())?;
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let dies_after = behaviour.dies_after_ms.map_or(Duration::from_secs(u64::from(u32::MAX)), Duration::from_millis);
    let mut death = pin!(tokio::time::sleep(dies_after));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept (too many files) must not end the server.
                let Ok((stream, _)) = accepted else { continue };
                let _delayed = stream.set_nodelay(true);
                connections.spawn(connection(stream, running.clone(), stopping.clone()));
            }
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            _ = terminate.recv() => if !behaviour.ignores_sigterm { break },
            () = &mut death => return Err(Error::Unknown("died, as its release says".into())),
        }
    }
    drop(listener);
    let _nobody = stop.send(true);
    let _cut = tokio::time::timeout(FINISH, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// One connection, with keepalive, until the client closes it, it is idle for too long, or the server stops.
async fn connection(stream: TcpStream, running: Arc<Running>, mut stopping: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let running = running.clone();
        async move { Ok::<_, Infallible>(answer::answer(&running, request).await) }
    });
    let mut served = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stopped = async {
        let _gone = stopping.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        _ended = served.as_mut() => return,
        () = stopped => served.as_mut().graceful_shutdown(),
    }
    let _ended = served.await;
}
