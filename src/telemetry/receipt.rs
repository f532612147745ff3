//! The acknowledgement as a value: whoever holds the batch owes an answer.
//!
//! A clone is a second debtor. The waiting side hears the worst answer once the last debtor has
//! answered; one that is dropped unanswered counts as [`Verdict::Lost`], so forgetting cannot look
//! like success.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// What became of a batch, from good to bad: the worst of several is the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Taken over by a queue, or ended on purpose.
    #[default]
    Accepted,
    /// Refused for good; the text tells the sender why.
    Rejected(String),
    /// Refused for now; sending it again may work, after the hint if there is one.
    Retry {
        /// How long the sender should wait.
        after: Option<Duration>,
    },
    /// Nobody answered.
    Lost,
}

/// The duty to answer for one batch.
#[derive(Debug)]
pub struct Receipt(Option<Arc<Shared>>);

/// The side that waits for the answer.
#[derive(Debug)]
pub struct Waiting(oneshot::Receiver<Verdict>);

#[derive(Debug)]
struct Shared {
    worst: Mutex<Verdict>,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
}

impl Receipt {
    /// A receipt and the side that waits for it.
    pub fn pair() -> (Receipt, Waiting) {
        let (tx, rx) = oneshot::channel();
        let shared = Shared { worst: Mutex::default(), answer: Mutex::new(Some(tx)) };
        (Receipt(Some(Arc::new(shared))), Waiting(rx))
    }

    /// A receipt that nobody waits for: a tap's.
    pub fn nobody() -> Receipt {
        Receipt(None)
    }

    /// Whether anybody waits: if not, refusing for now is dropping for good.
    pub fn awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Answers.
    pub fn settle(mut self, verdict: Verdict) {
        self.answer(verdict);
    }

    /// Answers Accepted now: the holder keeps the items on its own books from here on.
    pub fn adopt(&mut self) {
        self.answer(Verdict::Accepted);
    }

    fn answer(&mut self, verdict: Verdict) {
        let Some(shared) = self.0.take() else { return };
        let mut worst = shared.worst.lock().unwrap_or_else(PoisonError::into_inner);
        if verdict > *worst {
            *worst = verdict;
        }
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        Receipt(self.0.clone())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.answer(Verdict::Lost);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let worst = std::mem::take(self.worst.get_mut().unwrap_or_else(PoisonError::into_inner));
        let answer = self.answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answer.take() {
            // A waiting side that is gone does not want to know.
            drop(answer.send(worst));
        }
    }
}

impl Waiting {
    /// The worst answer, once everybody has answered.
    pub async fn verdict(self) -> Verdict {
        self.0.await.unwrap_or(Verdict::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_worst_answer_of_all_holders_is_heard() {
        let (a, waiting) = Receipt::pair();
        let b = a.clone();
        a.settle(Verdict::Retry { after: None });
        b.settle(Verdict::Accepted);
        assert_eq!(waiting.verdict().await, Verdict::Retry { after: None });
    }

    #[tokio::test]
    async fn a_forgotten_receipt_is_lost() {
        let (a, waiting) = Receipt::pair();
        let b = a.clone();
        a.settle(Verdict::Accepted);
        drop(b);
        assert_eq!(waiting.verdict().await, Verdict::Lost);
    }

    #[tokio::test]
    async fn adopting_answers_at_once_and_only_once() {
        let (mut a, waiting) = Receipt::pair();
        a.adopt();
        assert_eq!(waiting.verdict().await, Verdict::Accepted);
        a.settle(Verdict::Lost);
    }
}
