//! The sessions with a token: as many at most as the settings say, logged in once, begun anew when they are lost.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use secrecy::ExposeSecret as _;

use super::{Pkcs11Fault, TokenPlace};

/// How long one waits for a session that others have.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lost token is looked for no more often than this.
const RESPITE: Duration = Duration::from_secs(1);

/// The sessions with one token.
pub(super) struct Pool {
    place: TokenPlace,
    module: Pkcs11,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    standing: Standing,
    idle: Vec<Seat>,
    /// How many sessions are at work.
    out: u32,
    /// How often the token was opened.
    openings: u64,
    last_opening: Option<Instant>,
    /// Whether the last opening came to nothing.
    failed: bool,
}

enum Standing {
    Closed,
    /// The session is kept for the login, which ends with the last one.
    Open {
        slot: Slot,
        _login: Session,
    },
    PinRefused,
}

/// One session, for one piece of work at a time: `Session` may go from thread to thread but not be shared.
pub(super) struct Seat {
    pub(super) session: Session,
    pub(super) slot: Slot,
    /// The private keys found so far, by label.
    pub(super) keys: HashMap<String, ObjectHandle>,
    opening: u64,
}

impl Pool {
    /// Loads the library; the token is opened by the first piece of work.
    pub(super) fn new(place: TokenPlace) -> Result<Self, Pkcs11Fault> {
        let module =
            Pkcs11::new(&place.module).map_err(|source| Pkcs11Fault::Module { path: place.module.display().to_string(), source })?;
        let state = State { standing: Standing::Closed, idle: Vec::new(), out: 0, openings: 0, last_opening: None, failed: false };
        Ok(Self { place, module, state: Mutex::new(state), returned: Condvar::new() })
    }

    pub(super) fn place(&self) -> &TokenPlace {
        &self.place
    }

    pub(super) fn module(&self) -> &Pkcs11 {
        &self.module
    }

    /// Does `work` in a session of its own.
    pub(super) fn with_seat<T>(&self, work: impl FnOnce(&mut Seat) -> Result<T, Pkcs11Fault>) -> Result<T, Pkcs11Fault> {
        let mut seat = self.take()?;
        let done = work(&mut seat);
        // After a failure nothing is known of the session's state.
        self.give_back(done.is_ok().then_some(seat));
        done
    }

    /// The same for work that may be done twice: whatever fails the first time, is tried once more with the token opened anew.
    pub(super) fn with_seat_twice<T>(&self, work: impl Fn(&mut Seat) -> Result<T, Pkcs11Fault>) -> Result<T, Pkcs11Fault> {
        let mut seat = self.take()?;
        let opening = seat.opening;
        let first = match work(&mut seat) {
            Ok(done) => {
                self.give_back(Some(seat));
                return Ok(done);
            }
            Err(fault) => fault,
        };
        drop(seat);
        self.give_back(None);
        self.close(opening);
        match self.with_seat(work) {
            Err(Pkcs11Fault::Lost) => Err(first),
            second => second,
        }
    }

    fn take(&self) -> Result<Seat, Pkcs11Fault> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            let mut left = deadline.saturating_duration_since(Instant::now());
            let slot = match &state.standing {
                Standing::Open { slot, .. } => Some(*slot),
                Standing::Closed => None,
                Standing::PinRefused => return Err(Pkcs11Fault::Pin),
            };
            match slot {
                Some(slot) if !state.idle.is_empty() || state.out < self.place.sessions => return self.seat(&mut state, slot),
                Some(_) => {}
                // Beginning anew pulls the ground from under every session: it waits until none is at work.
                None if state.out == 0 => match state.respite() {
                    None => {
                        self.open(&mut state)?;
                        continue;
                    }
                    Some(_) if state.failed => return Err(Pkcs11Fault::Lost),
                    Some(respite) => left = left.min(respite),
                },
                None => {}
            }
            if left.is_zero() {
                return Err(Pkcs11Fault::Busy);
            }
            state = self.returned.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn seat(&self, state: &mut State, slot: Slot) -> Result<Seat, Pkcs11Fault> {
        let seat = match state.idle.pop() {
            Some(seat) => seat,
            None => {
                let session = self.module.open_ro_session(slot).map_err(|error| {
                    state.shut();
                    Pkcs11Fault::Token(error)
                })?;
                Seat { session, slot, keys: HashMap::new(), opening: state.openings }
            }
        };
        state.out += 1;
        Ok(seat)
    }

    /// A session comes back, or is known not to.
    fn give_back(&self, seat: Option<Seat>) {
        let mut state = self.lock();
        state.out -= 1;
        if let Some(seat) = seat
            && matches!(state.standing, Standing::Open { .. })
            && seat.opening == state.openings
        {
            state.idle.push(seat);
        }
        self.returned.notify_all();
    }

    /// Closes the token, unless another has done so since that opening.
    fn close(&self, opening: u64) {
        let mut state = self.lock();
        if state.openings == opening {
            state.shut();
            self.returned.notify_all();
        }
    }

    fn open(&self, state: &mut State) -> Result<(), Pkcs11Fault> {
        // Many a library learns only from a new beginning that a token is back.
        if state.last_opening.is_some() {
            let _ = self.module.clone().finalize();
        }
        state.last_opening = Some(Instant::now());
        state.failed = true;
        match self.module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(Pkcs11Fault::Token(error)),
        }
        let slot = self.slot()?;
        let session = self.module.open_ro_session(slot).map_err(Pkcs11Fault::Token)?;
        let pin = AuthPin::from(self.place.pin.expose_secret());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) if is_about_the_pin(&error) => {
                state.standing = Standing::PinRefused;
                return Err(Pkcs11Fault::Pin);
            }
            Err(error) => return Err(Pkcs11Fault::Token(error)),
        }
        state.failed = false;
        state.openings += 1;
        state.standing = Standing::Open { slot, _login: session };
        Ok(())
    }

    /// The one slot whose token has the label.
    fn slot(&self) -> Result<Slot, Pkcs11Fault> {
        let slots = self.module.get_slots_with_token().map_err(Pkcs11Fault::Token)?;
        let labelled = |slot: &Slot| self.module.get_token_info(*slot).is_ok_and(|token| token.label() == self.place.token);
        match *slots.into_iter().filter(labelled).collect::<Vec<_>>() {
            [slot] => Ok(slot),
            _ => Err(Pkcs11Fault::NoToken(self.place.token.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long the token is let alone yet.
    fn respite(&self) -> Option<Duration> {
        let since = self.last_opening?.elapsed();
        RESPITE.checked_sub(since).filter(|left| !left.is_zero())
    }

    fn shut(&mut self) {
        self.idle.clear();
        self.standing = Standing::Closed;
    }
}

fn is_about_the_pin(error: &Error) -> bool {
    use RvError::{PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked};

    matches!(error, Error::Pkcs11(PinExpired | PinIncorrect | PinInvalid | PinLenRange | PinLocked, _))
}
