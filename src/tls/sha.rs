//! SHA-2 and HMAC by it, as rustls wants them.

use std::marker::PhantomData;

use hmac::digest::{Digest, OutputSizeUser};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use rustls::crypto;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Key, Tag};
use sha2::{Sha256, Sha384};

pub(super) static SHA_256: Sha<Sha256> = Sha(HashAlgorithm::SHA256, PhantomData);
pub(super) static SHA_384: Sha<Sha384> = Sha(HashAlgorithm::SHA384, PhantomData);

/// A hash, and HMAC by it.
pub(super) struct Sha<D>(HashAlgorithm, PhantomData<D>);

impl<D: Digest + Clone + Send + Sync + 'static> Hash for Sha<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Begun(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0
    }
}

/// A hash of what has come so far.
struct Begun<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Context for Begun<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Begun(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl<D: EagerHash + Digest + Send + Sync + 'static> crypto::hmac::Hmac for Sha<D>
where
    Hmac<D>: KeyInit + Mac + Clone + Send + Sync,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        // HMAC takes keys of any length.
        let keyed = <Hmac<D> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| std::process::abort());
        Box::new(Keyed(keyed))
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

struct Keyed<M>(M);

impl<M: Mac + Clone + Send + Sync> Key for Keyed<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <M as OutputSizeUser>::output_size()
    }
}
