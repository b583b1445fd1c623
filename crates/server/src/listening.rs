//! Listening sockets for the HTTP servers, bound before the server is built so that port 0 can be asked for its number.

use crate::config::Setting;
use anyhow::Context;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Listens on `address`. A port that a stopped server left behind in `TIME_WAIT` can be had at once.
///
/// # Errors
/// When the address is in use, not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // The standard library sets SO_REUSEADDR on Unix.
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Listens where a setting says; the address is the one really listened on.
///
/// # Errors
/// When the address cannot be had; the error says how to take another.
pub fn listen(address: SocketAddr, setting: Setting) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let mend = || format!("cannot listen on {address}; take another address with {setting}");
    let listener = bind(address).with_context(mend)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
