//! Boards: bounded tables that components publish, and that whoever serves the process may read.
//!
//! A writer puts a whole table in place of its last one and waits for nobody who reads; who reads has the table as it
//! was published last, for as long as it is looked at. Rows are plain data, of one type a kind of board, so that
//! nobody reaches the component behind one. Nothing is remembered: a board is gone with its writer.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::Id;

/// Bounds how many rows a board has.
pub const MAX_ROWS: usize = 1000;

/// Publishes one table of rows `R`; the right to do so belongs to one writer.
pub struct Board<R>(Arc<Place<R>>);

type Place<R> = ArcSwap<Table<R>>;

/// Holds the rows of one board, as they were at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<R> {
    /// At most [`MAX_ROWS`], in the writer's order.
    pub rows: Vec<R>,
    /// Counts the rows that did not fit.
    pub left_out: usize,
}

/// Lists the boards of a process. A component opens its own by [`Build::board`](super::Build::board).
#[derive(Default)]
pub struct Boards(Mutex<Vec<(Id, Weak<dyn Any + Send + Sync>)>>);

impl<R> Board<R> {
    /// Puts these rows in place of those before; `left_out` counts rows that the writer did not make for want of
    /// room. Of more than [`MAX_ROWS`] the first stay.
    pub fn publish(&self, mut rows: Vec<R>, left_out: usize) {
        let beyond = rows.len().saturating_sub(MAX_ROWS);
        rows.truncate(MAX_ROWS);
        self.0.store(Arc::new(Table { rows, left_out: left_out + beyond }));
    }
}

impl Boards {
    /// Opens a board for the component of that id. One that was opened before stays beside it until its own writer is
    /// gone: a receiver that a reload replaced still has calls to tell of.
    pub(super) fn open<R: Send + Sync + 'static>(&self, id: &Id) -> Board<R> {
        let place: Arc<Place<R>> = Arc::new(ArcSwap::from_pointee(Table::default()));
        let known: Weak<Place<R>> = Arc::downgrade(&place);
        let mut boards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|(_, board)| board.strong_count() > 0);
        boards.push((id.clone(), known));
        Board(place)
    }

    /// Reads all boards of rows `R`, in the order in which they were opened: whose each is, and its rows.
    pub fn read<R: Send + Sync + 'static>(&self) -> Vec<(Id, Arc<Table<R>>)> {
        let boards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let table = |(id, board): &(Id, Weak<dyn Any + Send + Sync>)| {
            let place = board.upgrade()?.downcast::<Place<R>>().ok()?;
            Some((id.clone(), place.load_full()))
        };
        boards.iter().filter_map(table).collect()
    }
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Table { rows: Vec::new(), left_out: 0 }
    }
}

impl<R> fmt::Debug for Board<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Board({} rows)", self.0.load().rows.len())
    }
}

impl fmt::Debug for Boards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Boards")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    fn rows(boards: &Boards) -> Vec<(String, Vec<u32>)> {
        let all = boards.read::<u32>().into_iter();
        all.map(|(id, table)| (id.to_string(), table.rows.clone())).collect()
    }

    #[test]
    fn a_board_shows_what_was_published_last_and_goes_with_its_writer() {
        let boards = Boards::default();
        let (one, two) = (boards.open::<u32>(&id("a")), boards.open::<u32>(&id("b")));
        let other_kind = boards.open::<String>(&id("a"));
        one.publish(vec![1, 2], 0);
        one.publish(vec![3], 0);
        two.publish(vec![4], 0);
        other_kind.publish(vec!["x".to_owned()], 0);
        assert_eq!(rows(&boards), [("a".to_owned(), vec![3]), ("b".to_owned(), vec![4])]);
        let kept = boards.read::<u32>();
        drop(one);
        assert_eq!(rows(&boards), [("b".to_owned(), vec![4])]);
        assert_eq!(kept[0].1.rows, [3], "who reads keeps what there was");
        // One that a reload replaced and that is not done yet.
        let new = boards.open::<u32>(&id("b"));
        new.publish(vec![5], 0);
        assert_eq!(rows(&boards), [("b".to_owned(), vec![4]), ("b".to_owned(), vec![5])]);
        assert_eq!(boards.read::<String>().len(), 1);
    }

    #[test]
    fn rows_beyond_the_bound_are_counted() {
        let boards = Boards::default();
        let board = boards.open(&id("a"));
        board.publish((0..1500).collect::<Vec<u32>>(), 7);
        let table = &boards.read::<u32>()[0].1;
        assert_eq!((table.rows.len(), table.rows[999], table.left_out), (1000, 999, 507));
    }

    #[test]
    fn what_is_read_while_it_is_written_is_one_table() {
        let boards = Boards::default();
        let board = boards.open(&id("a"));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..2000_u32).for_each(|n| board.publish(vec![n; 8], 0));
                done.store(true, Ordering::Relaxed);
            });
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let table = Arc::clone(&boards.read::<u32>()[0].1);
                let first = table.rows.first().copied().unwrap_or_default();
                assert!(table.rows.iter().all(|row| *row == first) && first >= last);
                last = first;
            }
        });
    }
}
