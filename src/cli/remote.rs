//! Runs what talks to hosts: one runtime, one set of connections, closed at the end; Ctrl-C ends what only reads.

use std::time::Duration;

use super::{error::CliError, locate::Located, stop::Stop};
use crate::{
    edge::host::{Hosts, SshSettings},
    site::ssh_settings,
};

/// The hosts of one inventory, not connected yet.
pub fn hosts(located: &Located, connect_timeout: Duration) -> Hosts {
    Hosts::new(SshSettings { connect_timeout, ..ssh_settings(&located.inventory, &located.base) })
}

/// Runs `work` with connections to the inventory's hosts. `None`: ended by Ctrl-C, and everything that it ran with it.
pub fn with_hosts<T>(located: &Located, work: impl AsyncFnOnce(Hosts) -> T) -> Result<Option<T>, CliError> {
    let hosts = hosts(located, Duration::from_millis(located.inventory.ssh.connect_timeout_ms));
    runtime()?.block_on(async {
        let mut stop = listen()?;
        let ended = tokio::select! {
            done = work(hosts.clone()) => Some(done),
            () = stop.asked() => None,
        };
        hosts.close().await;
        Ok(ended)
    })
}

/// The runtime of a command that talks to hosts.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new().map_err(CliError::file("start", "the runtime"))
}

/// What asks the command to stop, from now on.
pub fn listen() -> Result<Stop, CliError> {
    Stop::listen().map_err(CliError::file("listen for", "signals"))
}
