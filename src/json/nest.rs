//! Passes over a container by its brackets alone, block by block: commas, colons and values are not looked at.

use super::scan::BLOCK;
use super::{Error, ErrorKind, Result};

/// Holds the containers that are open where one is passed over.
#[derive(Default)]
pub(super) struct Nest {
    /// One bit an open container, the innermost lowest: set for an object.
    objects: u128,
    open: usize,
}

impl Nest {
    /// Passes over the brackets of a block, of which `room` may be open at once. Tells where the one stands
    /// that closes the outermost container.
    #[inline]
    pub(super) fn pass(
        &mut self,
        bytes: &[u8; BLOCK],
        mut brackets: u64,
        room: usize,
    ) -> Result<Option<usize>> {
        while brackets != 0 {
            let at = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            let is_object = matches!(bytes[at], b'{' | b'}');
            if matches!(bytes[at], b'{' | b'[') {
                if self.open >= room {
                    return Err(Error { kind: ErrorKind::Depth, at });
                }
                self.objects = self.objects << 1 | u128::from(is_object);
                self.open += 1;
                continue;
            }
            if (self.objects & 1 == 1) != is_object {
                return Err(Error { kind: ErrorKind::Unexpected, at });
            }
            self.objects >>= 1;
            self.open -= 1;
            if self.open == 0 {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
