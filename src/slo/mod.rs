//! Burn rates of service level objectives: calls in, alerts out. Pure: it reads no clock, no file and no telemetry.
//!
//! Each objective becomes one form: a judge that says of a call whether it is good, bad or not counted, and a budget, the
//! part of calls that may be bad. `ratio = bad / total` over a window by the end of calls, `burn = ratio / budget`; a
//! [rule](rules::Rule) holds while the ratio of its long and of its short window is over a threshold. What decides is
//! compared in integers, exactly; floating point numbers are for showing only. The rules are those of chapter 5 of
//! Google's SRE workbook.

pub mod budget;
pub mod rings;
pub mod judge;
pub mod rules;
pub mod alert;
pub mod objective;
pub mod matching;
pub mod engine;
pub mod words;
pub mod prometheus;
#[cfg(test)]
mod tests;
