//! A bad line for ssh, as its ProxyCommand: every byte is late, and some connections are lost.

use std::fs::File;
use std::io::{Read, Seek as _, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Naming, Result};

/// What may be on its way at once, in pieces: far more than a window of ssh's at any delay that is asked for.
const ON_ITS_WAY: usize = 4096;

/// Of every so many, counted from zero, this one is lost.
const LOST: u64 = 2;

/// One connection over a bad line.
#[derive(Debug, clap::Args)]
pub struct Slow {
    /// How long a byte and the answer to it take longer, in milliseconds.
    #[arg(long)]
    ms: u64,
    /// One connection of so many is lost: closed before a byte came. 0: none.
    #[arg(long)]
    lose_one_in: u64,
    /// Where connections are counted.
    #[arg(long)]
    count: PathBuf,
    /// The host's address.
    host: String,
    /// Its port.
    port: u16,
}

type Piece = (Instant, Vec<u8>);

impl Slow {
    /// Passes stdin and stdout on until either side ends.
    pub fn pass_on(&self) -> Result<()> {
        let number = self.number()?;
        let one_way = Duration::from_millis(self.ms / 2);
        thread::sleep(2 * one_way);
        // An early one, so that no test is too short for it.
        if self.lose_one_in > 0 && number % self.lose_one_in == LOST % self.lose_one_in {
            return Err(Error::Unknown(format!("connection {number} was lost, as asked")));
        }
        let to = format!("{}:{}", self.host, self.port);
        let stream = TcpStream::connect(&to).naming("cannot connect to", &to)?;
        let _delayed = stream.set_nodelay(true);
        let out = stream.try_clone().naming("cannot use", &to)?;
        let input = stream.try_clone().naming("cannot use", &to)?;
        let there = pipe(std::io::stdin(), one_way);
        thread::spawn(move || {
            deliver(there, out);
            let _gone = stream.shutdown(Shutdown::Write);
        });
        deliver(pipe(input, one_way), std::io::stdout());
        Ok(())
    }

    /// The connection's number, over all processes that count in the same file.
    fn number(&self) -> Result<u64> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&self.count);
        let file = file.naming("cannot open", &self.count)?;
        let locked = Flock::lock(file, FlockArg::LockExclusive);
        let mut file = locked.map_err(|(_, errno)| Error::Unknown(format!("the count is not lockable: {errno}")))?;
        let mut text = String::new();
        file.read_to_string(&mut text).naming("cannot read", &self.count)?;
        let number = text.trim().parse::<u64>().unwrap_or(0);
        file.rewind().naming("cannot write", &self.count)?;
        file.write_all((number + 1).to_string().as_bytes()).naming("cannot write", &self.count)?;
        Ok(number)
    }
}

/// Reads until the end; each piece is due some time after it was read.
fn pipe(mut from: impl Read + Send + 'static, late: Duration) -> Receiver<Piece> {
    let (sender, receiver): (SyncSender<Piece>, Receiver<Piece>) = sync_channel(ON_ITS_WAY);
    thread::spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + late, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        let _gone = sender.send((Instant::now() + late, Vec::new()));
    });
    receiver
}

/// Writes each piece when it is due.
fn deliver(from: Receiver<Piece>, mut to: impl Write) {
    for (due, piece) in from {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if piece.is_empty() || to.write_all(&piece).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
