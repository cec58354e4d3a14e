//! Somebody who asks all the time: what was told to be revoked is never good, and no list has a lower number than one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sandbox::kind::Kind;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, fetch_crl};

use crate::story::{Story, index, number};

pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<String>, usize)>,
}

impl Observer {
    pub(crate) fn begin(story: &Story) -> Self {
        Self::of(story, true)
    }

    /// The same where the lists on the machine itself went back with it, so that the old ones are shown until there is a new one.
    pub(crate) fn begin_without_lists(story: &Story) -> Self {
        Self::of(story, false)
    }

    fn of(story: &Story, with_lists: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let certificates: Vec<(Kind, Vec<u8>)> = story.ended().map(|enrolled| (enrolled.kind, enrolled.certificate.clone())).collect();
        let (authorities, mut numbers) = (Arc::clone(&story.authorities), story.numbers);
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (mut wrong, mut looks) = (Vec::new(), 0);
                while !stop.load(Ordering::Relaxed) {
                    for (kind, certificate) in &certificates {
                        let authority = &authorities[index(*kind)];
                        if let Ok(answer) = ask_ocsp(certificate, authority, &OcspWish::default()) {
                            looks += 1;
                            if !matches!(answer.status, Status::Revoked { .. }) {
                                wrong.push(format!("a revoked certificate is told to be {}", answer.status));
                            }
                        }
                        let Ok(list) = fetch_crl(certificate, authority) else { continue };
                        let is_old = number(&list) < numbers[index(*kind)];
                        if is_old && !with_lists {
                            continue;
                        }
                        looks += 1;
                        let last = &mut numbers[index(*kind)];
                        if number(&list) < *last {
                            wrong.push(format!("list {} of {kind} came after {last}", number(&list)));
                        }
                        if list.entry.is_none() {
                            wrong.push(format!("a revoked certificate is not on list {} of {kind}", number(&list)));
                        }
                        *last = number(&list).max(*last);
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                (wrong, looks)
            }
        });
        Self { stop, thread }
    }

    pub(crate) fn saw_nothing_wrong(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (wrong, looks) = self.thread.join().unwrap();
        assert!(wrong.is_empty(), "{} times: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        assert!(looks > 0, "nothing was answered at all");
    }
}
