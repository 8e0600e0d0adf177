//! What happened, for whoever listens.

use hushwire_engine::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Everything that happens, in order, from the moment of [`crate::Client::events`] on.
///
/// ```no_run
/// # async fn example(client: hushwire_client::Client) {
/// let mut events = client.events();
/// while let Some(event) = events.next().await {
///     match event {
///         Ok(hushwire_client::Event::Received(message)) => assert!(!message.outgoing),
///         Ok(_) => {}
///         Err(lagged) => assert!(lagged.missed > 0), // read the history again
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct EventStream {
    receiver: Option<broadcast::Receiver<Event>>,
}

/// The listener was too slow. Nothing is lost: every event tells of something that the database has; read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} events were missed; read the history again")]
pub struct Lagged {
    /// Events that were passed over.
    pub missed: u64,
}

impl EventStream {
    pub(crate) fn of(sender: Option<broadcast::Sender<Event>>) -> Self {
        Self { receiver: sender.map(|sender| sender.subscribe()) }
    }

    /// The next event; `None` once the client is closed. May be cancelled: no event is lost by it.
    ///
    /// # Errors
    /// [`Lagged`]: some were missed; the next call goes on with the oldest that is left.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        match self.receiver.as_mut()?.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next event if it is there already, without waiting: how a program that ends takes what is left. A
    /// [`EventStream::next`] that is given no time may say that there is nothing although there is.
    pub fn next_now(&mut self) -> Option<Result<Event, Lagged>> {
        match self.receiver.as_mut()?.try_recv() {
            Ok(event) => Some(Ok(event)),
            Err(TryRecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed_and_goes_on() {
        let (sender, _) = broadcast::channel(2);
        let mut events = EventStream::of(Some(sender.clone()));
        for _ in 0..5 {
            assert!(sender.send(Event::Registered).is_ok());
        }
        drop(sender);
        assert_eq!(events.next().await, Some(Err(Lagged { missed: 3 })));
        assert_eq!(events.next().await, Some(Ok(Event::Registered)));
        assert_eq!(events.next().await, Some(Ok(Event::Registered)));
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn what_is_there_is_taken_to_the_last_without_waiting() {
        let (sender, _) = broadcast::channel(1024);
        let mut events = EventStream::of(Some(sender.clone()));
        for _ in 0..1000 {
            assert!(sender.send(Event::Registered).is_ok());
        }
        let mut taken = 0;
        while let Some(event) = events.next_now() {
            assert_eq!(event, Ok(Event::Registered));
            taken += 1;
        }
        assert_eq!(taken, 1000);
    }
}
