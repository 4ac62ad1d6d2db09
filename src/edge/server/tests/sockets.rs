use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use super::super::script::SOCKETS;
use super::super::sockets::{Peer, Table};
use super::*;

fn table(bench: &Bench, port: u16) -> Table {
    Table::read(&bench.run(SOCKETS, vec![format!("{port:04X}")], b"").unwrap()).unwrap()
}

fn place_at(bench: &Bench, address: &str, port: u16) -> Place {
    Place { address: address.into(), port, ..bench.place().clone() }
}

/// A connection from a chosen loopback address.
fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    })
}

fn peer(address: &str, connections: usize) -> Peer {
    Peer { address: address.parse::<IpAddr>().unwrap(), connections }
}

#[test]
fn peers_of_the_places_own_address_are_counted_and_the_expected_left_out() {
    let bench = Bench::new("true");
    let ours = TcpListener::bind("127.9.0.1:0").unwrap();
    let port = ours.local_addr().unwrap().port();
    let neighbour = TcpListener::bind(("127.9.0.2", port)).unwrap();
    let to = ours.local_addr().unwrap();
    let _held =
        [connect("127.9.1.1", to), connect("127.9.1.1", to), connect("127.9.1.2", to), connect("127.9.1.3", to)];
    let _next_door = connect("127.9.1.4", neighbour.local_addr().unwrap());
    let table = table(&bench, port);
    let place = place_at(&bench, "127.9.0.1", port);
    assert_eq!(table.peers(&place, &["127.9.1.2/32".parse().unwrap()]), [peer("127.9.1.1", 2), peer("127.9.1.3", 1)]);
    assert!(table.listens(&place));
    assert!(!table.listens(&place_at(&bench, "127.9.0.3", port)));
    assert!(table.peers(&place_at(&bench, "127.9.0.3", port), &[]).is_empty());
    // By a name, every connection to the port counts.
    assert_eq!(table.peers(&place_at(&bench, "web1", port), &[]).len(), 4);
}

#[test]
fn ipv4_within_ipv6_is_told_as_ipv4() {
    let bench = Bench::new("true");
    // Where there is no IPv6 there is nothing to tell.
    let Ok(listener) = TcpListener::bind("[::]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let _held = connect("127.9.2.1", format!("127.9.2.2:{port}").parse().unwrap());
    let table = table(&bench, port);
    let place = place_at(&bench, "127.9.2.2", port);
    assert_eq!(table.peers(&place, &[]), [peer("127.9.2.1", 1)]);
    assert!(table.listens(&place));
}

#[test]
fn the_kernels_notation_is_read() {
    let lines: Vec<String> = [
        "at 10.0.0.1",
        "at fe80::1%eth0",
        "00000000:0BB8 00000000:0000 0A",
        "0100000A:0BB8 0200000A:C001 01",
        "0000000000000000FFFF00000100000A:0BB8 0000000000000000FFFF00000300000A:C002 01",
        "B80D01200000000000000000010000 00:0BB8 x 01",
    ]
    .map(str::to_owned)
    .to_vec();
    let bench = Bench::new("true");
    let place = place_at(&bench, "10.0.0.1", 3000);
    assert!(Table::read(&lines).is_err());
    let table = Table::read(&lines[..5]).unwrap();
    assert_eq!(table.peers(&place, &[]), [peer("10.0.0.2", 1), peer("10.0.0.3", 1)]);
    assert!(table.listens(&place));
    let v6 = ["B80D0120000000000000000001000000:0BB8 B80D0120000000000000000002000000:C001 01".to_owned()];
    assert_eq!(Table::read(&v6).unwrap().peers(&place, &[]), [peer("2001:db8::2", 1)]);
}

#[test]
fn another_servers_connections_are_not_this_ones() {
    let lines = ["at 10.0.0.1", "0200007F:0BB8 0300007F:C001 01"].map(str::to_owned);
    let bench = Bench::new("true");
    let table = Table::read(&lines).unwrap();
    // The host has the address, and nothing listens on it (yet).
    for own in ["10.0.0.1", "127.0.0.1"] {
        assert!(table.peers(&place_at(&bench, own, 3000), &[]).is_empty());
    }
    // A translated address may lead to any of the host's own.
    assert_eq!(table.peers(&place_at(&bench, "192.0.2.1", 3000), &[]), [peer("127.0.0.3", 1)]);
}

#[test]
fn nothing_there_is_nothing() {
    let bench = Bench::new("true");
    let free = TcpListener::bind("127.9.3.1:0").unwrap().local_addr().unwrap().port();
    let table = table(&bench, free);
    let place = place_at(&bench, "127.9.3.1", free);
    assert!(!table.listens(&place) && table.peers(&place, &[]).is_empty());
}
