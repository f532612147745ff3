//! How the keys of tables are hashed, by who chooses them.
//!
//! Ours are numbers that we counted and ids that we drew: nobody can make them collide, and a
//! multiplication is enough. What peers choose is hashed by foldhash, whose seeds differ from process to process
//! and from table to table. That is quick rather than strong. Whoever found keys that collide all the same
//! could slow the observer down, no more: the tables are bounded, traffic does not wait for it, and what it
//! misses is counted as gaps. Where a hash stands for what was hashed, the standard library's hasher makes it.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds the hasher of tables whose keys are ours.
pub type OwnKeys = BuildHasherDefault<OwnKey>;

/// Builds the hasher of tables whose keys peers choose.
pub type PeerKeys = foldhash::fast::RandomState;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnKey(u64);

impl Hasher for OwnKey {
    /// Numbers that follow each other differ in the low bits, which choose the place in a table, and after
    /// this in the high ones, which tell neighbours apart.
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(size_of::<u64>()) {
            let mut number = [0; size_of::<u64>()];
            number[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_ne_bytes(number));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
