//! From the inventory to http.conf and server.conf, from traffic to the tree of files, and back from what a balancer reports.

pub mod conf;
pub mod dump;
pub mod limits;
pub mod quote;
pub mod state;
pub mod tree;
mod view;

#[cfg(test)]
mod quoting_tests;
#[cfg(test)]
mod samples;
