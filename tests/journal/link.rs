//! A way to a server that can fall silent, in one direction or both.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// A proxy on loopback. What it does to a direction it does to the connections that stand; new ones work while `is_open`.
pub struct Link {
    pub port: u16,
    silence: Arc<std::sync::Mutex<Silence>>,
    is_open: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

/// Set for the connections that stand.
#[derive(Clone, Default)]
struct Silence {
    there: Arc<AtomicBool>,
    back: Arc<AtomicBool>,
}

impl Link {
    /// Leads to `port` of this machine.
    pub async fn to(port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let silence = Arc::new(std::sync::Mutex::new(Silence::default()));
        let is_open = Arc::new(AtomicBool::new(true));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, SocketAddr::from(([127, 0, 0, 1], port)), silence.clone(), is_open.clone()));
        Link { port: own, silence, is_open, _task: task }
    }

    /// From now on nothing of what is sent over the standing connections arrives, and nobody is told.
    pub fn swallow_what_is_sent(&self) {
        self.silence.lock().unwrap().there.store(true, Ordering::SeqCst);
    }

    /// The same for the answers.
    pub fn swallow_the_answers(&self) {
        self.silence.lock().unwrap().back.store(true, Ordering::SeqCst);
    }

    /// New connections are let in again by [`Link::open`] only; those that stand are not touched.
    pub fn shut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    /// Lets new connections in; those that fell silent stay so.
    pub fn open(&self) {
        *self.silence.lock().unwrap() = Silence::default();
        self.is_open.store(true, Ordering::SeqCst);
    }
}

async fn serve(
    listener: TcpListener,
    to: SocketAddr,
    silence: Arc<std::sync::Mutex<Silence>>,
    is_open: Arc<AtomicBool>,
) {
    let mut copies = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if !is_open.load(Ordering::SeqCst) {
            continue;
        }
        let Ok(server) = TcpStream::connect(to).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let Silence { there, back } = silence.lock().unwrap().clone();
        copies.spawn(copy(from_client, to_server, there));
        copies.spawn(copy(from_server, to_client, back));
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_silent: Arc<AtomicBool>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !is_silent.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // A link that is silent does not tell of an end either.
    while is_silent.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
