//! What comes out of a pipe, read by a thread of its own so that the writer is never held up.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A pipe that is being read.
#[derive(Debug)]
pub(crate) struct Drain {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Drain {
    /// Starts to read.
    pub(crate) fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let text = Arc::clone(&text);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut bytes) {
                    text.lock()
                        .expect("no panic")
                        .extend_from_slice(&bytes[..count]);
                }
            }
        });
        Self { text, thread }
    }

    /// Whether `text` has come out.
    pub(crate) fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.text.lock().expect("no panic")).contains(text)
    }

    /// All that came out, once the writer has closed its end.
    pub(crate) fn finish(self) -> String {
        self.thread.join().expect("no panic");
        String::from_utf8_lossy(&self.text.lock().expect("no panic")).into_owned()
    }
}
