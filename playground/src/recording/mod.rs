//! The demo as a film: real commands in a terminal of 80×24, what they print when they print it, as one animated SVG.

mod film;
mod svg;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use bg_playground::{Error, Playground, Result};
use nix::pty::{Winsize, openpty};

use self::film::Film;
use crate::demo::served;

/// The terminal that everything must be right in.
const SIZE: (u16, u16) = (24, 80);
/// More than any of the commands takes, on two slow cores.
const BOUND: Duration = Duration::from_secs(120);
/// Requests a second while it is recorded: enough that none fails by chance, few enough for two slow cores.
const RATE: u32 = 100;

/// What is typed, and how long one looks at what came of it.
const SESSION: [(&str, Duration); 6] = [
    ("bg status", Duration::from_secs(4)),
    ("bg deploy --release v2 --canary mobile=10%", Duration::from_secs(4)),
    ("bg status", Duration::from_secs(5)),
    ("bg flip", Duration::from_secs(4)),
    ("bg restore", Duration::from_secs(4)),
    ("bg status", Duration::from_secs(4)),
];

/// Plays the session on a playground under load and writes it to `file`.
pub fn record(file: &Path) -> Result<()> {
    let site = served()?;
    site.release("v2")?;
    let load = site.load().rate(RATE).start()?;
    let mut film = Film::new(SIZE);
    for (line, look) in SESSION {
        film.clear();
        film.type_line(line);
        play(&site, line, &mut film)?;
        film.look(look);
    }
    let seen = load.stop();
    film.clear();
    film.type_line(&format!("# {} requests were sent meanwhile, {} failed", seen.sent, seen.failed));
    film.look(Duration::from_secs(4));
    let svg = svg::draw(&film.end(), SIZE);
    fs::write(file, &svg).map_err(io("cannot write", file))?;
    println!("\n{}: {} KB, {} requests, {} failed", file.display(), svg.len() / 1000, seen.sent, seen.failed);
    if seen.failed == 0 { Ok(()) } else { Err(Error::Unknown(format!("{} requests failed", seen.failed))) }
}

fn io(what: &'static str, object: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let object = object.display().to_string();
    move |source| Error::Io { what, object, source }
}

/// Runs one line in the terminal, and films what it says.
fn play(site: &Playground, line: &str, film: &mut Film) -> Result<()> {
    println!("  $ {line}");
    let words = line.split_whitespace().skip(1);
    let mut command = site.bg_command(words.map(OsStr::new))?;
    command.env("TERM", "xterm-256color").env("BLUEGREEN_CALLED", "bg");
    let heard = in_terminal(command)?;
    let until = Instant::now() + BOUND;
    let begun = Instant::now();
    let before = film.now();
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Heard::Bytes(at, bytes)) => film.show(before + at.saturating_duration_since(begun), &bytes),
            Ok(Heard::End(Some(0))) => return Ok(()),
            Ok(Heard::End(code)) => {
                let said = film.text();
                return Err(Error::Failed { command: line.to_owned(), status: format!("{code:?}"), said });
            }
            Err(_late) => {
                let (what, said) = (format!("`{line}`"), film.text());
                return Err(Error::TooSlow { what, bound_ms: BOUND.as_millis(), said });
            }
        }
    }
}

/// What comes out of the terminal.
enum Heard {
    Bytes(Instant, Vec<u8>),
    /// The program's exit code, after its last byte.
    End(Option<i32>),
}

/// Starts the command with a terminal for its input and output.
fn in_terminal(mut command: Command) -> Result<Receiver<Heard>> {
    let size = Winsize { ws_row: SIZE.0, ws_col: SIZE.1, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = Path::new("a terminal");
    let pty = openpty(&size, None).map_err(|errno| io("cannot open", terminal)(errno.into()))?;
    let slave = || pty.slave.try_clone().map(Stdio::from).map_err(io("cannot open", terminal));
    command.stdin(slave()?).stdout(slave()?).stderr(slave()?);
    let program = command.get_program().to_owned();
    let mut child = command.spawn().map_err(io("cannot run", Path::new(&program)))?;
    // The command's own copies are in it still.
    drop(command);
    drop(pty.slave);
    let mut master = File::from(pty.master);
    let (says, heard) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Linux answers with an error when nobody has the other end any more.
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            if says.send(Heard::Bytes(Instant::now(), buffer[..count].to_vec())).is_err() {
                break;
            }
        }
        let code = child.wait().ok().and_then(|status| status.code());
        let _nobody_listens = says.send(Heard::End(code));
    });
    Ok(heard)
}
