//! How keys are agreed on.

use std::fmt;
use std::marker::PhantomData;

use ed25519_compact::x25519;
use p256::NistP256;
use p256::elliptic_curve::ecdh::EphemeralSecret;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, Generate as _, PublicKey};
use p384::NistP384;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// For the first of them a key is in our hello already; a server that will have another asks for it.
pub(super) static GROUPS: [&dyn SupportedKxGroup; 3] = [
    &X25519,
    &Nist::<NistP256>(NamedGroup::secp256r1, PhantomData),
    &Nist::<NistP384>(NamedGroup::secp384r1, PhantomData),
];

#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut bytes = [0; x25519::SecretKey::BYTES];
        getrandom::fill(&mut bytes).map_err(|_| GetRandomFailed)?;
        let secret = x25519::SecretKey::new(bytes);
        // Of no secret it is weak.
        let public = secret.recover_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(X25519Key { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct X25519Key {
    secret: x25519::SecretKey,
    public: x25519::PublicKey,
}

impl ActiveKeyExchange for X25519Key {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let theirs = x25519::PublicKey::from_slice(theirs).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = theirs.dh(&self.secret).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public[..]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// One of NIST's curves.
struct Nist<C>(NamedGroup, PhantomData<fn() -> C>);

impl<C> fmt::Debug for Nist<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C: CurveArithmetic> SupportedKxGroup for Nist<C>
where
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = EphemeralSecret::<C>::try_generate().map_err(|_| GetRandomFailed)?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Ok(Box::new(NistKey { group: self.0, secret, public }))
    }

    fn name(&self) -> NamedGroup {
        self.0
    }
}

struct NistKey<C: CurveArithmetic> {
    group: NamedGroup,
    secret: EphemeralSecret<C>,
    public: Box<[u8]>,
}

impl<C: CurveArithmetic> ActiveKeyExchange for NistKey<C>
where
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        // A point that is not on the curve is refused.
        let theirs = PublicKey::<C>::from_sec1_bytes(theirs).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        Ok(SharedSecret::from(&self.secret.diffie_hellman(&theirs).raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        self.group
    }
}

#[cfg(test)]
mod tests {
    use rustls::{Error, PeerMisbehaved};

    use super::GROUPS;

    #[test]
    fn two_agree_on_a_key() {
        for group in GROUPS {
            let (ours, theirs) = (group.start().expect("a key"), group.start().expect("a key"));
            let (our_public, their_public) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
            let ours = ours.complete(&their_public).expect("agreed");
            let theirs = theirs.complete(&our_public).expect("agreed");
            assert_eq!(ours.secret_bytes(), theirs.secret_bytes(), "{group:?}");
            let another = group.start().expect("a key").complete(&our_public).expect("agreed");
            assert_ne!(another.secret_bytes(), ours.secret_bytes(), "{group:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for group in GROUPS {
            let public = group.start().expect("a key").pub_key().to_vec();
            let off_the_curve =
                |at: usize| public.iter().enumerate().map(move |(i, b)| if i == at { b ^ 1 } else { *b });
            let mut bad = vec![Vec::new(), public[1..].to_vec(), [&public[..], &[0]].concat(), vec![0; public.len()]];
            // Each number is a point of X25519.
            if public.len() > 32 {
                bad.extend([off_the_curve(0).collect(), off_the_curve(40).collect()]);
            }
            for bytes in bad {
                let shared = group.start().expect("a key").complete(&bytes).map(|_| ());
                assert_eq!(shared, Err(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare)), "{group:?} {bytes:?}");
            }
        }
    }
}
