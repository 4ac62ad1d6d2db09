//! Waiting, always with a bound.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often a condition is looked at: short against everything that is waited for here (tens of milliseconds and more).
const EVERY: Duration = Duration::from_millis(5);

/// Asks until `condition` gives something, at most for `bound`; then fails saying that `what` "did not".
pub fn until<T>(bound: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Error::TooSlow { what: what.to_owned(), bound_ms: bound.as_millis(), said: String::new() });
        }
        thread::sleep(EVERY);
    }
}

/// Whether something accepts connections there.
pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}
