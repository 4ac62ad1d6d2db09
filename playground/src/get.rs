//! One HTTP request at a time, blocking: what a test asks a balancer, an application or a probe port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Naming, Result};

/// No single question of a test takes longer.
const BOUND: Duration = Duration::from_secs(30);

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; 0 when what came is not HTTP.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, read lossily as UTF-8.
    pub body: String,
}

impl Answer {
    /// A header's value, or `""`.
    pub fn header(&self, name: &str) -> &str {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The half that answered (`X-Half` of the demo application), or `""`.
    pub fn half(&self) -> &str {
        self.header("x-half")
    }

    /// The release that answered, or `""`.
    pub fn release(&self) -> &str {
        self.header("x-release")
    }

    /// The host that answered, or `""`.
    pub fn host(&self) -> &str {
        self.header("x-host")
    }
}

/// Sends one request on a connection of its own. `headers` may replace `Host`.
pub fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let named = format!("http://{to}{path}");
    let mut stream = TcpStream::connect_timeout(&to, BOUND).naming("cannot connect to", &named)?;
    stream.set_read_timeout(Some(BOUND)).naming("cannot ask", &named)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: shop.test\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).naming("cannot ask", &named)?;
    stream.write_all(body).naming("cannot ask", &named)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).naming("no whole answer from", &named)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        let (Some(chunk), true) = (rest.get(..size), size > 0) else { break };
        whole.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
