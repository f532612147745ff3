//! The stdio tap as a process between a client and a server.

mod bare;
mod edits;
mod ends;
mod logs;
mod pending;
mod sessions;
mod surroundings;
mod traces;
