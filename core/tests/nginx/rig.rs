//! One nginx with two pools of two halves behind it, all on loopback, gone when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bluegreen_core::inventory::Inventory;
use bluegreen_core::nginx::conf::{self, Templates};
use bluegreen_core::nginx::state::{Question, Seen, StateAnswer, inflight, inflight_target};
use bluegreen_core::nginx::tree::{Kind, tree};
use bluegreen_core::traffic::{SegmentShare, Share, Traffic};

use crate::samples;

/// Nothing here takes longer on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// The revision that every rig's configuration has.
pub const REVISION: u64 = 7;

/// Asks until `done`, or panics with what `what` says.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A loopback port that nobody listens on, below the range that connections are given theirs from, and below the ports that
/// playgrounds take.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 10_000 + u16::try_from(std::process::id() % 50).unwrap() * 40;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Holds requests for `/hold…` until it is opened.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    opened: Condvar,
}

#[derive(Default)]
struct GateState {
    open: bool,
    waiting: usize,
}

impl Gate {
    pub fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.opened.notify_all();
    }

    /// How many requests have come to it.
    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        drop(self.opened.wait_timeout_while(state, BOUND, |state| !state.open).unwrap());
    }
}

/// An application that answers `NAME PATH`, and 500 below `/err`.
fn backend(name: &'static str, gate: &Arc<Gate>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || answer_all(name, &stream, &gate));
        }
    });
    port
}

fn answer_all(name: &str, mut stream: &TcpStream, gate: &Gate) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut path = String::new();
        let mut line = String::new();
        while {
            line.clear();
            reader.read_line(&mut line).is_ok_and(|n| n > 0)
        } && line != "\r\n"
        {
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
        }
        if path.is_empty() {
            return;
        }
        if path.contains("hold") {
            gate.wait();
        }
        let status = if path.starts_with("/err") { "500 no" } else { "200 OK" };
        let body = format!("{name} {path}");
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// What nginx answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The backend's name.
    pub fn server(&self) -> &str {
        self.body.split(' ').next().unwrap_or_default()
    }
}

/// One request on a connection of its own.
fn request(port: u16, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A running nginx of its own, with the user's side of the wiring.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub inventory: Inventory,
    pub gate: Arc<Gate>,
    front: u16,
    nginx: Child,
    generation: u64,
}

/// A configuration written to a directory, not started.
pub struct Written {
    pub dir: tempfile::TempDir,
    pub inventory: Inventory,
    pub gate: Arc<Gate>,
    pub front: u16,
}

pub fn nginx(conf: &Path, args: &[&str]) -> Output {
    Command::new("nginx").arg("-c").arg(conf).args(args).stdin(Stdio::null()).output().expect("nginx is installed")
}

impl Written {
    /// `change` the inventory, and add the `locations` to the user's server block and `http` to his http level.
    pub fn new(change: impl FnOnce(&mut Inventory), locations: &str, http: &str) -> Written {
        let dir = tempfile::tempdir().unwrap();
        // The workers of a root nginx are another user.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let bg = dir.path().join("bg");
        std::fs::create_dir_all(bg.join("live/gen")).unwrap();
        let mut inventory = samples::shop(bg.to_str().unwrap(), free_port());
        let gate = Arc::<Gate>::default();
        let names = [["web-blue", "web-green"], ["api-blue", "api-green"]];
        for (pool, [blue, green]) in inventory.pools.iter_mut().zip(names) {
            pool.blue[0].port = backend(blue, &gate);
            pool.green[0].port = backend(green, &gate);
        }
        change(&mut inventory);
        let conf = conf::render(&inventory, &inventory.balancers[0], REVISION, &Templates::default()).unwrap();
        std::fs::write(bg.join("http.conf"), conf.http).unwrap();
        std::fs::write(bg.join("server.conf"), conf.server).unwrap();
        let front = free_port();
        let (d, b) = (dir.path().display(), bg.display());
        let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {d}/{kind};\n"))
            .concat();
        let text = format!(
            "worker_processes 2; daemon off; pid {d}/pid; error_log {d}/error.log info;\nevents {{}}\nhttp {{\naccess_log off;\n\
             {temps}proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             include {b}/http.conf;\n{http}\nserver {{ listen 127.0.0.1:{front};\ninclude {b}/server.conf;\n\
             add_header X-Segment $shop_segment always;\nlocation / {{ proxy_pass http://$shop_web; }}\n\
             location /api/ {{ proxy_pass http://$shop_api; }}\n{locations}\n}}\n}}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
        Written { dir, inventory, gate, front }
    }

    pub fn conf(&self) -> PathBuf {
        self.dir.path().join("nginx.conf")
    }

    /// Runs it with the tree `traffic`.
    pub fn start(self, traffic: &Traffic) -> Rig {
        let log = self.dir.path().join("error.log");
        let conf = self.conf();
        let Written { dir, inventory, gate, front } = self;
        write_generation(dir.path(), 1, traffic);
        let started = Command::new("nginx").arg("-c").arg(conf).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut rig = Rig { dir, inventory, gate, front, nginx: started.expect("nginx is installed"), generation: 1 };
        let read_log = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually("nginx starts", || {
            let ended = rig.nginx.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {}", read_log());
            // It opens its ports one after the other.
            [rig.probe_port(), rig.front].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        rig
    }
}

impl Rig {
    /// The shop with these segments' shares.
    pub fn shop(traffic: &Traffic) -> Rig {
        Written::new(|_| (), "", "").start(traffic)
    }

    fn probe_port(&self) -> u16 {
        self.inventory.balancers[0].probe
    }

    /// Switches to `traffic` as a balancer does: a new generation, and a rename.
    pub fn commit(&mut self, traffic: &Traffic) {
        self.generation += 1;
        write_generation(self.dir.path(), self.generation, traffic);
    }

    pub fn current(&self) -> PathBuf {
        self.dir.path().join("bg/live/current")
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A request of a client with this user agent.
    pub fn get(&self, path: &str, user_agent: &str) -> Answer {
        request(self.front, path, &[("Host", "www.example.net"), ("User-Agent", user_agent)])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        request(self.front, path, headers)
    }

    /// A question to the probe port.
    pub fn probe(&self, target: &str) -> Answer {
        request(self.probe_port(), target, &[("Host", "bg-shop")])
    }

    pub fn state(&self, at: &str) -> StateAnswer {
        StateAnswer::parse(&self.probe(&format!("/state?at={at}")).body).unwrap()
    }

    pub fn confirm(&self, questions: &[Question]) {
        for question in questions {
            let answer = StateAnswer::parse(&self.probe(&question.target()).body).unwrap();
            assert_eq!(answer.half, question.expect, "{}", question.at);
        }
    }

    /// Whether at least `at_least` requests of this half are in flight.
    pub fn in_flight(&self, half: Seen, at_least: u32) -> bool {
        let answer = self.probe(&inflight_target(half, at_least));
        inflight(answer.header("X-Inflight").unwrap_or_default()).unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// A request in a thread of its own.
    pub fn begin(&self, path: &str) -> std::thread::JoinHandle<Answer> {
        let (front, path) = (self.front, path.to_owned());
        std::thread::spawn(move || request(front, &path, &[("Host", "x"), ("User-Agent", "desk")]))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.gate.open();
        nginx(&self.dir.path().join("nginx.conf"), &["-s", "stop"]);
        let start = Instant::now();
        while matches!(self.nginx.try_wait(), Ok(None)) {
            if start.elapsed() > BOUND {
                drop(self.nginx.kill());
                drop(self.nginx.wait());
                // Its workers are left behind then, which a test must not do silently.
                assert!(std::thread::panicking(), "nginx did not stop within {BOUND:?}");
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

fn write_generation(dir: &Path, generation: u64, traffic: &Traffic) {
    let live = dir.join("bg/live");
    let root = live.join(format!("gen/{generation}"));
    std::fs::create_dir(&root).unwrap();
    for entry in tree(traffic).to_files() {
        let path = root.join(&entry.path);
        match &entry.kind {
            Kind::Dir => std::fs::create_dir(&path).unwrap(),
            Kind::EmptyFile => std::fs::write(&path, "").unwrap(),
            Kind::Link(target) => symlink(target, &path).unwrap(),
        }
    }
    symlink(format!("gen/{generation}"), live.join(".new")).unwrap();
    std::fs::rename(live.join(".new"), live.join("current")).unwrap();
}

/// A split of the shop's segments, in hundredths of a percent.
pub fn split(shares: &[(&str, u16)], offset: u8) -> Traffic {
    let share = |(segment, green): &(&str, u16)| SegmentShare {
        segment: (*segment).to_owned(),
        green: Share::from_hundredths(*green).unwrap(),
    };
    Traffic::split(shares.iter().map(share).collect(), offset)
}
