//! One connection to one host: its master, the sessions over it, and the forwarded ports.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use openssh::{ForwardType, Session, Socket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::directory::Directory;
use super::error::HostError;
use super::master::Master;
use super::run::{Run, nonce};
use super::session::{Conversation, Pipes, Stream, chain};
use super::standing::Standing;

/// sshd allows 10 sessions a connection (MaxSessions); the master's own is one, and one is left in reserve, since the
/// eleventh fails with a misleading error.
const MAX_SESSIONS: usize = 8;
/// A forward is one round trip to the master on this machine.
const FORWARD: Duration = Duration::from_secs(5);

/// How long a master may take to notice what its sessions have seen already.
const SETTLE: Duration = Duration::from_secs(1);

/// A standing connection.
#[derive(Debug)]
pub(crate) struct Connection {
    host: String,
    session: Arc<Session>,
    socket: PathBuf,
    master: Mutex<Option<Master>>,
    shell: Standing,
    sessions: Semaphore,
    forwards: tokio::sync::Mutex<HashMap<(String, u16), Weak<Forwarded>>>,
    directory: Arc<Directory>,
}

impl Connection {
    pub(crate) fn new(
        host: String,
        (master, shell): (Master, Pipes),
        socket: PathBuf,
        directory: Arc<Directory>,
    ) -> Self {
        let session = Arc::new(Session::resume_mux(socket.clone().into_boxed_path(), None));
        Self {
            host,
            session,
            socket,
            master: Mutex::new(Some(master)),
            shell: Standing::new(shell),
            sessions: Semaphore::new(MAX_SESSIONS),
            forwards: tokio::sync::Mutex::default(),
            directory,
        }
    }

    /// Whether it still stands, as far as this machine knows.
    pub(crate) fn is_alive(&self) -> bool {
        self.master.lock().is_ok_and(|mut master| master.as_mut().is_some_and(Master::is_alive))
    }

    /// Whether it stands only for what still runs over it: without its shell, nothing else holds it.
    pub(crate) fn is_leaving(&self) -> bool {
        self.shell.is_gone()
    }

    /// What ssh said last.
    pub(crate) fn said(&self) -> String {
        self.master.lock().ok().and_then(|master| master.as_ref().map(Master::said)).unwrap_or_default()
    }

    /// Ends it, and with it whatever runs over it.
    pub(crate) async fn close(&self) {
        let master = self.master.lock().ok().and_then(|mut master| master.take());
        let gently = self.shell.end();
        if let Some(master) = master {
            master.close(gently).await;
        }
        let _ = std::fs::remove_file(&self.socket);
    }

    pub(crate) async fn run(&self, run: Run, sink: &mut (dyn FnMut(Stream, &[u8]) + Send)) -> Result<i32, HostError> {
        let nonce = nonce();
        if let Some(request) = run.request(&nonce)
            && let Some(shell) = self.shell.lend_soon().await
        {
            let talk = Conversation::begun(&self.host, &run, &nonce, sink);
            let result = talk.within(shell, &request).await;
            if matches!(result, Err(HostError::Lost { .. })) {
                self.settle().await;
            }
            return result;
        }
        // Never closed, and every holder is bounded.
        let _permit = self.sessions.acquire().await;
        let name = run.name;
        let result = Conversation::hold(&self.session, &self.host, run, sink).await;
        if matches!(result, Err(HostError::Lost { .. } | HostError::NoSession { .. })) {
            self.settle().await;
        }
        match result {
            // The connection ended while the session was opened: the host may have begun the command all the same.
            Err(HostError::NoSession { .. }) if !self.is_alive() => {
                Err(HostError::Lost { host: self.host.clone(), name, tail: String::new() })
            }
            result => result,
        }
    }

    /// The sessions of a broken connection end a moment before its master does: the next use must not meet a dying one.
    async fn settle(&self) {
        let end = Instant::now() + SETTLE;
        while self.is_alive() && Instant::now() < end {
            sleep(SETTLE / 50).await;
        }
    }

    /// That this connection is gone, if it is. What went through it ends a moment before its master does, so the master itself
    /// is asked: one that is about to end does not answer.
    async fn cut(&self) -> Option<HostError> {
        if self.is_alive() && matches!(timeout(FORWARD, self.session.check()).await, Ok(Ok(()))) {
            return None;
        }
        self.settle().await;
        Some(HostError::Cut { host: self.host.clone() })
    }

    pub(crate) async fn forward(self: &Arc<Self>, address: &str, port: u16) -> Result<Forward, HostError> {
        let mut forwards = self.forwards.lock().await;
        let key = (address.to_owned(), port);
        if let Some(standing) = forwards.get(&key).and_then(Weak::upgrade) {
            return Ok(Forward { inner: standing });
        }
        let socket = self.directory.socket('f');
        let target = Socket::new(address.to_owned(), port);
        let failed =
            |detail| HostError::Forward { host: self.host.clone(), target: format!("{address}:{port}"), detail };
        let request = self.session.request_port_forward(ForwardType::Local, socket.clone(), target);
        match timeout(FORWARD, request).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.cut().await.unwrap_or_else(|| failed(chain(&error)))),
            Err(_) => return Err(failed(format!("no answer within {}s", FORWARD.as_secs()))),
        }
        let inner = Arc::new(Forwarded { connection: self.clone(), socket, target: key.clone() });
        forwards.insert(key, Arc::downgrade(&inner));
        Ok(Forward { inner })
    }
}

/// A unix socket on this machine that leads to a TCP port as the host sees it. Clones share it; with the last one it goes.
/// A target where nothing listens gives a connection that closes without a byte.
#[derive(Debug, Clone)]
pub struct Forward {
    inner: Arc<Forwarded>,
}

impl Forward {
    /// Where to connect.
    pub fn socket(&self) -> &Path {
        &self.inner.socket
    }

    /// The host through which it leads, by its name in the inventory.
    pub fn host(&self) -> &str {
        &self.inner.connection.host
    }

    /// That the connection below is gone, if it is: then a request that failed says nothing of the target.
    pub async fn cut(&self) -> Option<HostError> {
        self.inner.connection.cut().await
    }

    /// What ssh said last on this connection: why the target gave nothing, perhaps. May be empty, or about something else.
    pub fn said(&self) -> String {
        self.inner.connection.said()
    }
}

#[derive(Debug)]
struct Forwarded {
    connection: Arc<Connection>,
    socket: PathBuf,
    target: (String, u16),
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        // Without a runtime the master is about to go as well, and takes it along.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (session, socket, target) = (self.connection.session.clone(), self.socket.clone(), self.target.clone());
        runtime.spawn(async move {
            let close = session.close_port_forward(ForwardType::Local, socket, Socket::new(target.0, target.1));
            // Best effort: nothing can reach the unlinked socket.
            let _ = timeout(FORWARD, close).await;
        });
    }
}
