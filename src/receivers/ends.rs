//! The end of receivers that serve HTTP is the engine's stop.

use std::time::Duration;

use crate::http::serve::Ends;
use crate::pipeline::Stop;

impl Ends for Stop {
    async fn given(&mut self) {
        Stop::given(self).await;
    }

    async fn over(self, patience: Duration) {
        Stop::over(self, patience).await;
    }
}
