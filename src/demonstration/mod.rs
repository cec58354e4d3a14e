//! The demonstration: the main job and scenes of a certificate's later life, played with real cryptography on loopback, every
//! claim checked from outside.

mod artifacts;
mod checks;
mod instructions;
mod main_job;
mod scenes;
mod stage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::artifacts::Artifacts;
use self::checks::failed;
pub(crate) use self::scenes::Scene;
use self::scenes::Set;
use self::stage::Stage;
use crate::failure::Failure;
use crate::output::Output;

/// What the demonstration shall do.
pub(crate) struct Wish {
    /// Where everything is kept; a temporary directory without it.
    pub(crate) directory: Option<PathBuf>,
    /// Whether it goes on serving at the end.
    pub(crate) serve: bool,
    /// Whether the card is revoked, and the scenes after that are played.
    pub(crate) revoke: bool,
    /// Only this scene.
    pub(crate) scene: Option<Scene>,
}

/// Plays it. Fails at the first claim that does not hold.
pub(crate) fn play(wish: &Wish, output: Output) -> Result<(), Failure> {
    let mut play = Play { claims: Vec::new(), scene: None, output, started: Instant::now(), step: Instant::now() };
    let stage = Stage::set(wish.directory.clone(), |claim| play.claim(claim))?;
    let artifacts = Artifacts::create(&stage)?;
    let scenes: &[Scene] = match &wish.scene {
        Some(scene) => std::slice::from_ref(scene),
        None => {
            main_job::play(&mut play, &stage, &artifacts, wish.revoke)?;
            if wish.revoke { &Scene::ALL } else { &[] }
        }
    };
    for scene in scenes {
        play.begin(*scene);
        scene.play(&mut Set { play: &mut play, stage: &stage, artifacts: &artifacts })?;
    }
    play.end(&stage, wish)
}

/// The play as far as it has gone.
struct Play {
    claims: Vec<Claim>,
    scene: Option<Scene>,
    output: Output,
    started: Instant,
    step: Instant,
}

/// What was said, and held.
struct Claim {
    text: String,
    took: Duration,
    scene: Option<Scene>,
}

impl Play {
    /// Records that something holds, with the time since the claim before.
    fn claim(&mut self, claim: impl Into<String>) {
        let took = self.step.elapsed();
        self.step = Instant::now();
        let text = claim.into();
        if self.output == Output::Text {
            println!("  ok {:>8.1} ms  {text}", took.as_secs_f64() * 1_000.0);
        }
        self.claims.push(Claim { text, took, scene: self.scene });
    }

    /// Begins a scene.
    fn begin(&mut self, scene: Scene) {
        self.scene = Some(scene);
        if self.output == Output::Text {
            println!("\n{}", scene.title());
        }
    }

    /// Shows people something that belongs to the claim before.
    fn show(&self, lines: &[&str]) {
        if self.output == Output::Text {
            for line in lines {
                println!("                  {line}");
            }
        }
    }

    fn end(&self, stage: &Stage, wish: &Wish) -> Result<(), Failure> {
        let total = self.started.elapsed();
        if self.output == Output::Json {
            let claims: Vec<Value> = self.claims.iter().map(Claim::to_json).collect();
            let result = json!({ "claims": claims, "seconds": total.as_secs_f64(), "directory": stage.directory() });
            self.output.print(&result, |_| String::new())?;
        } else {
            println!("\n{} claims, all checked, in {:.1} s.", self.claims.len(), total.as_secs_f64());
            if wish.directory.is_some() {
                println!("Everything is in {}; what outsiders would look at in its artifacts/.", stage.directory().display());
            }
        }
        if wish.serve {
            println!("{}", instructions::text(stage, &stage.log_verifier()?.vkey(), wish.revoke));
            crate::command::serve::wait_for_signal()?;
        }
        Ok(())
    }
}

impl Claim {
    fn to_json(&self) -> Value {
        let mut claim = json!({ "claim": self.text, "milliseconds": self.took.as_secs_f64() * 1_000.0 });
        if let Some(scene) = self.scene {
            claim["scene"] = json!(scene.name());
        }
        claim
    }
}
