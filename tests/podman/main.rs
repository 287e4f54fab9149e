//! The image of `deploy/Containerfile` in real containers, as pods have them: PID 1, any user, no capability, a read-only root.

mod container;
mod ends;
mod engine;
mod files;
mod inits;
mod kube;
mod limits;
mod mistakes;
#[path = "../needs/mod.rs"]
mod needs;
mod rights;
#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "what is seen of a colony from outside is looked at here, too")]
mod support;
#[path = "../deploy/trees.rs"]
#[allow(dead_code, reason = "`tests/deploy` looks at all that is rendered")]
mod trees;
