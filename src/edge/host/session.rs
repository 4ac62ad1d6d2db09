//! Carries one command out over a connection: feeds it, listens to it, and knows when it has ended.

use std::time::Duration;

use openssh::{Session, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::error::HostError;
use super::master::explain;
use super::output::{Marks, Tail, last_lines};
use super::run::{KILL_GRACE, Run, STOP, Stdin, lost, nonce, seconds_up};
use super::standing::{Lent, State};

/// Opening a session is one round trip; a server that is out of processes may stall it.
const OPEN: Duration = Duration::from_secs(15);
/// After the end, what may still be on its way: a daemon that the command left may hold the streams open for good.
const QUIET: Duration = Duration::from_millis(300);
/// The longest that output may trickle in after the end.
const TRICKLE: Duration = Duration::from_secs(5);
/// How often a standing shell is asked whether the watchdog of its command was killed: one that was in its first moments has
/// nobody yet who would notice.
const LOOK: Duration = Duration::from_secs(1);
/// Beyond bound and grace, for the host to say that it ended the command.
const CONFIRM: Duration = Duration::from_secs(4);
/// What an error quotes is found in the last bytes.
const MAX_QUOTED: usize = 8192;

/// Which stream a piece of output is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The three streams of a command.
pub(crate) struct Pipes {
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
}

impl Pipes {
    /// Those of a process that was started with pipes. Nothing where they were taken already.
    pub(crate) fn of(child: &mut Child) -> Option<Pipes> {
        let (input, stdout, stderr) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        Some(Pipes { input: Box::new(input), stdout: Box::new(stdout), stderr: Box::new(stderr) })
    }
}

/// A connection that is still to be made by the same process that then runs the command.
pub(crate) struct Login<F: FnOnce()> {
    /// How long it may take.
    pub within: Duration,
    /// Called once it is done.
    pub done: F,
}

/// What a conversation comes to, other than an error of its own.
pub(crate) enum Held {
    /// The command's exit status.
    Status(i32),
    /// There was no login: what was said instead.
    NoLogin(String),
}

/// Where the command is.
enum Phase {
    LoggingIn,
    Running,
    /// bg let go of it; the host must confirm that it is gone.
    Ending,
    /// The watchdog reported this; the streams are being emptied.
    Ended(String),
}

/// When what is due.
struct Times {
    started: Instant,
    /// What comes next.
    alarm: Instant,
    /// Until when the host must have said that it ended the command.
    give_up: Instant,
    /// Until when what trickles in after the end is waited for.
    latest: Instant,
}

impl Times {
    fn from_now(bound: Duration) -> Times {
        let started = Instant::now();
        // The host counts in steps of a second, each a little longer: 2% at most on a busy machine.
        let give_up = started + Duration::from_secs(seconds_up(bound)) + bound / 50 + KILL_GRACE + CONFIRM;
        Times { started, alarm: started + bound, give_up, latest: give_up }
    }
}

/// How long a server may take to free a session whose end it has told: on a busy machine it counts it a while longer, and
/// refuses the next one.
const FREED: Duration = Duration::from_secs(2);

fn is_refused(error: &openssh::Error) -> bool {
    chain(error).contains("Session open refused by peer")
}

/// One running command.
pub(crate) struct Conversation<'a> {
    host: &'a str,
    name: &'static str,
    nonce: String,
    sudo: bool,
    bound: Duration,
    /// Marks and the not yet delivered bytes, of standard output and standard error.
    marks: [Marks; 2],
    tail: Tail,
    sink: &'a mut (dyn FnMut(Stream, &[u8]) + Send),
}

impl<'a> Conversation<'a> {
    /// Runs `run` over `session`, output going to `sink` as it comes. Returns the exit status.
    pub(crate) async fn hold(
        session: &Session,
        host: &'a str,
        run: Run,
        sink: &'a mut (dyn FnMut(Stream, &[u8]) + Send),
    ) -> Result<i32, HostError> {
        let (talk, line, stdin) = Conversation::about(host, run, sink)?;
        let name = talk.name;
        let mut command = session.raw_command(&line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let asked = Instant::now();
        let no_session = |detail: String| HostError::NoSession { host: host.to_owned(), name, detail };
        let mut child = loop {
            match timeout(OPEN, command.spawn()).await {
                Ok(Ok(child)) => break child,
                Ok(Err(openssh::Error::Disconnected)) => {
                    return Err(HostError::Lost { host: host.to_owned(), name, tail: String::new() });
                }
                // Nothing was run by a refusal, so it may be asked again.
                Ok(Err(error)) if is_refused(&error) && asked.elapsed() < FREED => sleep(FREED / 40).await,
                Ok(Err(error)) => return Err(no_session(chain(&error))),
                Err(_) => return Err(no_session(format!("no answer within {}s", OPEN.as_secs()))),
            }
        };
        let (Some(input), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(talk.lost());
        };
        let pipes = Pipes { input: Box::new(input), stdout: Box::new(stdout), stderr: Box::new(stderr) };
        let ended = async move { child.wait().await.is_ok() };
        match talk.listen(pipes, stdin, ended, None::<Login<fn()>>).await? {
            Held::Status(status) => Ok(status),
            Held::NoLogin(said) => Err(no_session(said)),
        }
    }

    /// A conversation about `run`, the line that begins it on the host, and what it reads.
    pub(crate) fn about(
        host: &'a str,
        run: Run,
        sink: &'a mut (dyn FnMut(Stream, &[u8]) + Send),
    ) -> Result<(Conversation<'a>, String, Stdin), HostError> {
        let (nonce, name) = (nonce(), run.name);
        let line = run.line(&nonce).map_err(|detail| HostError::Unsendable { host: host.to_owned(), name, detail })?;
        Ok((Conversation::begun(host, &run, &nonce, sink), line, run.stdin))
    }

    /// A conversation about `run`, whose marks carry `nonce`.
    pub(crate) fn begun(
        host: &'a str,
        run: &Run,
        nonce: &str,
        sink: &'a mut (dyn FnMut(Stream, &[u8]) + Send),
    ) -> Conversation<'a> {
        let (marks, tail) = (Marks::of_both(nonce), Tail::new(MAX_QUOTED));
        let (name, nonce) = (run.name, nonce.to_owned());
        Conversation { host, name, nonce, sudo: run.sudo, bound: run.timeout, marks, tail, sink }
    }

    /// Has the standing shell run it; `request` is what that is sent.
    pub(crate) async fn within(self, mut shell: Lent, request: &[u8]) -> Result<i32, HostError> {
        let started = Instant::now();
        let (talk, mark) = match self.until_last_marks(&mut shell, request).await {
            Ok(ended) => ended,
            Err(error) => {
                shell.state = State::Broken;
                return Err(error);
            }
        };
        // A command that was ended may have been by somebody who ended the shell too: that is asked before it is lent again.
        if mark.starts_with("exit") {
            shell.state = State::Free;
        } else if mark.ends_with(" stuck") {
            // It may go on, and speak into what the next one says.
            shell.state = State::Broken;
        }
        talk.verdict(&mark, started)
    }

    /// Sends the request and listens until the command's last mark has come on both streams, so that nothing of it is still
    /// on its way. Also returns that mark.
    async fn until_last_marks(mut self, shell: &mut Lent, request: &[u8]) -> Result<(Self, String), HostError> {
        let mut times = Times::from_now(self.bound);
        let mut last = [None, None];
        let (mut rest, mut is_ending) = (request, false);
        let lost = lost(&self.nonce);
        let mut look = times.started + LOOK;
        let mut buffers = [vec![0; 32 * 1024], vec![0; 8 * 1024]];
        let [out, err] = &mut buffers;
        loop {
            if let [Some(_), Some(mark)] = last {
                return Ok((self, mark));
            }
            shell.state = if rest.is_empty() { State::Running } else { State::Broken };
            let Some(pipes) = shell.pipes() else { return Err(self.lost()) };
            let (stream, read) = tokio::select! {
                read = pipes.stdout.read(out), if last[0].is_none() => (Stream::Stdout, read),
                read = pipes.stderr.read(err), if last[1].is_none() => (Stream::Stderr, read),
                wrote = pipes.input.write(rest), if !rest.is_empty() => match wrote {
                    Ok(count @ 1..) => {
                        rest = &rest[count..];
                        continue;
                    }
                    // What was said last may still be on its way.
                    _ if rest == lost.as_bytes() => {
                        (rest, look) = (&[], times.give_up);
                        continue;
                    }
                    _ => return Err(self.lost()),
                },
                () = sleep_until(look), if rest.is_empty() => {
                    (rest, look) = (lost.as_bytes(), Instant::now() + LOOK);
                    continue;
                }
                () = sleep_until(times.alarm) => {
                    // Both may be due at once, after a stop of bg's own; a question that was not sent hinders nothing.
                    if is_ending || !(rest.is_empty() || rest == lost.as_bytes()) {
                        return Err(self.timed_out(false));
                    }
                    (rest, is_ending, times.alarm) = (STOP, true, times.give_up);
                    continue;
                }
            };
            let mut phase = Phase::Running;
            let buffer = if stream == Stream::Stdout { &out[..] } else { &err[..] };
            if !self.take(stream, read, buffer, &mut phase) {
                return Err(self.lost());
            }
            if let Phase::Ended(mark) = phase {
                last[stream as usize] = Some(mark);
            }
        }
    }

    /// Listens to the end. `ended` waits for the process behind the streams, and tells whether it ended by itself.
    pub(crate) async fn listen<F: FnOnce()>(
        mut self,
        pipes: Pipes,
        stdin: Stdin,
        ended: impl Future<Output = bool>,
        mut login: Option<Login<F>>,
    ) -> Result<Held, HostError> {
        let Pipes { input, mut stdout, mut stderr } = pipes;
        let (mut lifeline, feeding) = match stdin {
            Stdin::Null => (Some(input), None),
            Stdin::Bytes(bytes) => (None, Some((Box::new(std::io::Cursor::new(bytes)) as Source, input))),
            Stdin::Reader(reader) => (None, Some((reader, input))),
        };
        let mut feeder = std::pin::pin!(feed(feeding));
        let mut fed = false;
        let mut times = Times::from_now(self.bound);
        let mut phase = Phase::Running;
        if let Some(login) = &login {
            phase = Phase::LoggingIn;
            times.alarm = times.started + login.within;
        }
        let mut open = [true, true];
        let mut buffers = [vec![0; 32 * 1024], vec![0; 8 * 1024]];
        let [out, err] = &mut buffers;
        while open[0] || open[1] {
            tokio::select! {
                read = stdout.read(out), if open[0] => open[0] = self.take(Stream::Stdout, read, out, &mut phase),
                read = stderr.read(err), if open[1] => open[1] = self.take(Stream::Stderr, read, err, &mut phase),
                result = &mut feeder, if !fed => {
                    fed = true;
                    result.map_err(|detail| HostError::Input { host: self.host.to_owned(), name: self.name, detail })?;
                }
                () = sleep_until(times.alarm) => match phase {
                    // Without data, closing its stdin ends it now; with data, the host's own clock does.
                    Phase::Running => {
                        lifeline = None;
                        phase = Phase::Ending;
                        times.alarm = times.give_up;
                    }
                    Phase::LoggingIn => return Err(self.no_login_within(login.as_ref().map_or(OPEN, |login| login.within))),
                    Phase::Ending => return Err(self.timed_out(false)),
                    Phase::Ended(_) => break,
                },
            }
            if self.marks.iter().all(|marks| marks.noise().is_none())
                && let Some(login) = login.take()
            {
                (login.done)();
                times = Times::from_now(self.bound);
                if matches!(phase, Phase::LoggingIn) {
                    phase = Phase::Running;
                }
            }
            if matches!(phase, Phase::Ended(_)) {
                times.latest = times.latest.min(Instant::now() + TRICKLE);
                times.alarm = times.latest.min(Instant::now() + QUIET);
            }
        }
        drop(lifeline);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut rest = Vec::new();
            self.marks[stream as usize].finish(&mut rest);
            self.deliver(stream, &rest);
        }
        // The server's session is free again only when its channel is closed.
        let exited = timeout(QUIET, ended).await.unwrap_or(false);
        match phase {
            Phase::Ended(mark) => self.verdict(&mark, times.started).map(Held::Status),
            Phase::Ending => Err(self.timed_out(false)),
            Phase::LoggingIn if !exited => Ok(Held::NoLogin(self.marks[1].noise().unwrap_or_default())),
            Phase::LoggingIn | Phase::Running => Err(self.unmarked(exited)),
        }
    }

    /// Takes what one read gave. Returns whether the stream is still open.
    fn take(&mut self, stream: Stream, read: std::io::Result<usize>, buffer: &[u8], phase: &mut Phase) -> bool {
        let count = read.unwrap_or(0);
        let mut said = Vec::new();
        let marks = self.marks[stream as usize].push(&buffer[..count], &mut said);
        self.deliver(stream, &said);
        // The first that was said: a shell that is asked for it may say another when this one was on its way.
        if let Some(mark) = marks.into_iter().next() {
            *phase = Phase::Ended(mark);
        }
        count > 0
    }

    fn deliver(&mut self, stream: Stream, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.tail.push(bytes);
            (self.sink)(stream, bytes);
        }
    }

    /// What the watchdog's last mark, `WHY STATUS`, means.
    fn verdict(self, mark: &str, started: Instant) -> Result<i32, HostError> {
        match mark.split_once(' ') {
            Some(("exit", status)) => status.parse().map_err(|_| self.lost()),
            Some(("timeout", status)) => Err(self.timed_out(status != "stuck")),
            // The watchdog saw stdin close: bg did that when the time was up, or the connection broke.
            Some(("gone", status)) if started.elapsed() >= self.bound => Err(self.timed_out(status != "stuck")),
            _ => Err(self.lost()),
        }
    }

    /// The streams ended without a last word of the watchdog.
    fn unmarked(self, exited: bool) -> HostError {
        match (exited, self.marks[1].noise()) {
            (true, Some(_)) => {
                let (host, name, detail) = (self.host.to_owned(), self.name, said_instead(&self.marks));
                if self.sudo {
                    HostError::NoSudo { host, name, detail }
                } else {
                    HostError::NotRun { host, name, detail }
                }
            }
            _ => self.lost(),
        }
    }

    fn no_login_within(&self, after: Duration) -> HostError {
        let detail = explain(&self.marks[1].noise().unwrap_or_default());
        HostError::ConnectTimedOut { host: self.host.to_owned(), after, detail }
    }

    fn lost(&self) -> HostError {
        HostError::Lost { host: self.host.to_owned(), name: self.name, tail: self.tail.text() }
    }

    fn timed_out(&self, ended: bool) -> HostError {
        HostError::TimedOut {
            host: self.host.to_owned(),
            name: self.name,
            after: self.bound,
            ended,
            tail: self.tail.text(),
        }
    }
}

/// What was said where a command should have begun and did not.
pub(crate) fn said_instead(marks: &[Marks; 2]) -> String {
    let [stdout, stderr] = [&marks[0], &marks[1]].map(|marks| marks.noise().unwrap_or_default());
    let said = last_lines(&format!("{stderr}\n{stdout}"), 4);
    if said.is_empty() { "it said nothing".to_owned() } else { said.replace('\n', "; ") }
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// Copies all of the source, then closes. That the command stopped reading is its own affair; an error is the source's.
async fn feed(feeding: Option<(Source, Box<dyn AsyncWrite + Send + Unpin>)>) -> Result<(), String> {
    let Some((mut source, mut input)) = feeding else { return Ok(()) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut buffer).await.map_err(|e| e.to_string())?;
        if count == 0 || input.write_all(&buffer[..count]).await.is_err() {
            return Ok(());
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        let said = text.trim_end_matches('.');
        if !said.ends_with(cause_text.trim_end_matches('.')) {
            text = format!("{said}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<Said>>);

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let caused = |text, by| chain(&Said(text, Some(Box::new(Said(by, None)))));
        assert_eq!(caused("no answer: Broken pipe.", "Broken pipe"), "no answer: Broken pipe.");
        assert_eq!(caused("no answer: Broken pipe", "Broken pipe."), "no answer: Broken pipe");
        assert_eq!(caused("no answer.", "Broken pipe"), "no answer: Broken pipe");
    }
}
