//! The acknowledgement as a value: whoever holds the batch owes an answer.
//!
//! A clone is a second debtor. The waiting side hears the worst answer once the last debtor has
//! answered; one that is dropped unanswered counts as [`Verdict::Lost`], so forgetting cannot look
//! like success.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Names what became of a batch, from good to bad: the worst of several is the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Taken over by a queue, or ended on purpose.
    #[default]
    Accepted,
    /// Refused for good; the text tells the sender why.
    Rejected(String),
    /// Refused for now; sending it again may work, after the hint if there is one.
    Retry {
        /// Says how long the sender should wait.
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

struct Shared {
    worst: Mutex<Verdict>,
    effects: Mutex<Vec<Effect>>,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
}

/// Holds what happens once the waiting side is told Accepted.
type Effect = Box<dyn FnOnce() + Send>;

impl Receipt {
    /// A receipt and the side that waits for it.
    pub fn pair() -> (Receipt, Waiting) {
        let (tx, rx) = oneshot::channel();
        let answer = Mutex::new(Some(tx));
        let shared = Shared { worst: Mutex::default(), effects: Mutex::default(), answer };
        (Receipt(Some(Arc::new(shared))), Waiting(rx))
    }

    /// A receipt that nobody waits for: a tap's.
    pub fn nobody() -> Receipt {
        Receipt(None)
    }

    /// Says whether anybody waits: if not, refusing for now is dropping for good.
    pub fn awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Runs `effect` once the waiting side is told Accepted, before it hears of it, and never if it is told
    /// anything else: what a sender repeats must have had no effect. Where nobody waits it runs at once. It
    /// runs on whichever thread answers last, so it must be short and must not wait.
    pub fn once_accepted(&self, effect: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Some(shared) => locked(&shared.effects).push(Box::new(effect)),
            None => effect(),
        }
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
        let mut worst = locked(&shared.worst);
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
        let effects =
            std::mem::take(self.effects.get_mut().unwrap_or_else(PoisonError::into_inner));
        if worst == Verdict::Accepted {
            effects.into_iter().for_each(run);
        }
        let answer = self.answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answer.take() {
            // A waiting side that is gone does not want to know.
            drop(answer.send(worst));
        }
    }
}

/// Runs an effect. A bug in it must not end the thread that answers, nor keep the others from running.
fn run(effect: Effect) {
    if catch_unwind(AssertUnwindSafe(effect)).is_err() {
        tracing::error!("an effect of an accepted batch panicked");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("worst", &self.worst).finish_non_exhaustive()
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

    /// Gives what the waiting side hears of two holders who answer so, and how often the effect ran by then.
    async fn effects(first: Verdict, second: Option<Verdict>) -> (Verdict, usize) {
        let ran = Arc::new(Mutex::new(0));
        let (a, waiting) = Receipt::pair();
        let (b, count) = (a.clone(), Arc::clone(&ran));
        a.once_accepted(move || *count.lock().unwrap() += 1);
        a.settle(first);
        assert_eq!(*ran.lock().unwrap(), 0, "somebody has not answered yet");
        match second {
            Some(verdict) => b.settle(verdict),
            None => drop(b),
        }
        let heard = waiting.verdict().await;
        let ran = *ran.lock().unwrap();
        (heard, ran)
    }

    #[tokio::test]
    async fn an_effect_runs_once_all_have_accepted_and_never_otherwise() {
        let retry = Verdict::Retry { after: None };
        let rejected = Verdict::Rejected("no".into());
        assert_eq!(
            effects(Verdict::Accepted, Some(Verdict::Accepted)).await,
            (Verdict::Accepted, 1)
        );
        for worst in [retry, rejected] {
            assert_eq!(effects(worst.clone(), Some(Verdict::Accepted)).await, (worst.clone(), 0));
            assert_eq!(effects(Verdict::Accepted, Some(worst.clone())).await, (worst, 0));
        }
        assert_eq!(effects(Verdict::Accepted, None).await, (Verdict::Lost, 0));
    }

    #[test]
    fn where_nobody_waits_an_effect_runs_at_once() {
        let ran = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&ran);
        Receipt::nobody().once_accepted(move || *seen.lock().unwrap() = true);
        assert!(*ran.lock().unwrap());
    }

    #[tokio::test]
    async fn an_effect_that_panics_keeps_neither_the_others_nor_the_answer() {
        let ran = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&ran);
        let (receipt, waiting) = Receipt::pair();
        receipt.once_accepted(|| panic!("a bug"));
        receipt.once_accepted(move || *seen.lock().unwrap() = true);
        receipt.settle(Verdict::Accepted);
        assert_eq!(waiting.verdict().await, Verdict::Accepted);
        assert!(*ran.lock().unwrap());
    }

    #[tokio::test]
    async fn adopting_answers_at_once_and_only_once() {
        let (mut a, waiting) = Receipt::pair();
        a.adopt();
        assert_eq!(waiting.verdict().await, Verdict::Accepted);
        a.settle(Verdict::Lost);
    }
}
