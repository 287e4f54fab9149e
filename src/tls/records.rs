//! Records, sealed: those of TLS 1.3 (RFC 8446, 5.2), and those of TLS 1.2, which say a part of the nonce with AES-GCM
//! (RFC 5288) and nothing of it with ChaCha20 (RFC 7905).

use std::marker::PhantomData;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadInOut, Key, KeyInit};
use aes_gcm::aes::{Aes128Enc, Aes256Enc};
use aes_gcm::{AesGcm, Tag};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// Counter mode only encrypts, also to decrypt.
pub(super) static AES_128: Sealing<AesGcm<Aes128Enc, U12>> = Sealing { said: 8, by: PhantomData };
pub(super) static AES_256: Sealing<AesGcm<Aes256Enc, U12>> = Sealing { said: 8, by: PhantomData };
pub(super) static CHACHA20: Sealing<ChaCha20Poly1305> = Sealing { said: 0, by: PhantomData };

const TAG: usize = 16;

/// How records are sealed.
pub(super) struct Sealing<A> {
    /// How many bytes of its nonce a record of TLS 1.2 says. The others are agreed on with the keys.
    said: usize,
    by: PhantomData<fn() -> A>,
}

/// What can seal them.
trait Aead: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static {}

impl<A: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static> Aead for A {}

impl<A: Aead> Tls13AeadAlgorithm for Sealing<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Tls13 { aead: keyed::<A>(&key), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Tls13 { aead: keyed::<A>(&key), iv })
    }

    fn key_len(&self) -> usize {
        A::key_size()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<A: Aead> Tls12AeadAlgorithm for Sealing<A> {
    fn encrypter(&self, key: AeadKey, agreed: &[u8], said: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Tls12 { aead: keyed::<A>(&key), iv: joined(agreed, said), said: self.said })
    }

    fn decrypter(&self, key: AeadKey, agreed: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Tls12 { aead: keyed::<A>(&key), iv: joined(agreed, &[]), said: self.said })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        let said = self.said;
        KeyBlockShape { enc_key_len: A::key_size(), fixed_iv_len: NONCE_LEN - said, explicit_nonce_len: said }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// One direction of a connection of TLS 1.3.
struct Tls13<A> {
    aead: A,
    iv: Iv,
}

impl<A: Aead> MessageEncrypter for Tls13<A> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, number: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, number).0;
        let sealed = self.aead.encrypt_inout_detached(&nonce.into(), &make_tls13_aad(length), payload.as_mut().into());
        payload.extend_from_slice(&sealed.map_err(|_| Error::EncryptError)?);
        // As every record of it says.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1 + TAG
    }
}

impl<A: Aead> MessageDecrypter for Tls13<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(message.payload.len());
        let nonce = Nonce::new(&self.iv, number).0;
        let length = open(&self.aead, nonce, &aad, &mut message.payload)?;
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}

/// One direction of a connection of TLS 1.2.
struct Tls12<A> {
    aead: A,
    iv: Iv,
    said: usize,
}

impl<A: Aead> MessageEncrypter for Tls12<A> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, number: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = message.payload.len();
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        let nonce = Nonce::new(&self.iv, number).0;
        payload.extend_from_slice(&nonce[NONCE_LEN - self.said..]);
        payload.extend_from_chunks(&message.payload);
        let aad = make_tls12_aad(number, message.typ, message.version, length);
        let text = &mut payload.as_mut()[self.said..];
        let sealed = self.aead.encrypt_inout_detached(&nonce.into(), &aad, text.into());
        payload.extend_from_slice(&sealed.map_err(|_| Error::EncryptError)?);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        self.said + length + TAG
    }
}

impl<A: Aead> MessageDecrypter for Tls12<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let length = message.payload.len().checked_sub(self.said + TAG).ok_or(Error::DecryptError)?;
        let aad = make_tls12_aad(number, message.typ, message.version, length);
        let (said, sealed) = message.payload.split_at_mut(self.said);
        let mut nonce = Nonce::new(&self.iv, number).0;
        nonce[NONCE_LEN - said.len()..].copy_from_slice(said);
        open(&self.aead, nonce, &aad, sealed)?;
        Ok(message.into_plain_message_range(self.said..self.said + length))
    }
}

/// Makes a text of what is sealed, in its place, and says how long it is.
fn open(aead: &impl Aead, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &mut [u8]) -> Result<usize, Error> {
    let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(Error::DecryptError)?;
    let tag = Tag::<U16>::from(*tag);
    aead.decrypt_inout_detached(&nonce.into(), aad, (&mut *text).into(), &tag).map_err(|_| Error::DecryptError)?;
    Ok(text.len())
}

/// rustls gives a key of the length that it was told.
fn keyed<A: Aead>(key: &AeadKey) -> A {
    let mut bytes = Key::<A>::default();
    bytes.copy_from_slice(key.as_ref());
    A::new(&bytes)
}

/// A nonce, or as much of it as there is.
fn joined(agreed: &[u8], said: &[u8]) -> Iv {
    let mut nonce = [0; NONCE_LEN];
    nonce.iter_mut().zip(agreed.iter().chain(said)).for_each(|(to, from)| *to = *from);
    Iv::new(nonce)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::cipher::{
        AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
        Tls12AeadAlgorithm, Tls13AeadAlgorithm,
    };
    use rustls::{ContentType, Error, ProtocolVersion};

    use super::{AES_256, CHACHA20};

    const TEXT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    type Ends = (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>);

    fn key() -> AeadKey {
        AeadKey::from([7; 32])
    }

    fn tls13(by: &dyn Tls13AeadAlgorithm) -> Ends {
        let iv = || Iv::new([9; 12]);
        (by.encrypter(key(), iv()), by.decrypter(key(), iv()))
    }

    fn tls12(by: &dyn Tls12AeadAlgorithm) -> Ends {
        let (shape, nonce) = (by.key_block_shape(), [5; 12]);
        let (agreed, said) = nonce.split_at(shape.fixed_iv_len);
        assert_eq!((shape.enc_key_len, shape.explicit_nonce_len), (32, said.len()));
        (by.encrypter(key(), agreed, said), by.decrypter(key(), agreed))
    }

    /// The third record of a connection.
    fn sealed(by: &mut dyn MessageEncrypter) -> (ContentType, Vec<u8>) {
        let (typ, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        let message = OutboundPlainMessage { typ, version, payload: OutboundChunks::Single(TEXT) };
        let length = by.encrypted_payload_len(TEXT.len());
        let record = by.encrypt(message, 2).expect("sealed");
        assert_eq!(record.payload.as_ref().len(), length);
        (record.typ, record.payload.as_ref().to_vec())
    }

    fn opened(
        by: &mut dyn MessageDecrypter,
        typ: ContentType,
        mut record: Vec<u8>,
        number: u64,
    ) -> Result<Vec<u8>, Error> {
        let message = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, &mut record);
        by.decrypt(message, number).map(|message| message.payload.to_vec())
    }

    #[test]
    fn a_record_is_opened_as_it_was_sealed_and_no_other() {
        for (mut ours, mut theirs) in [tls13(&AES_256), tls12(&AES_256), tls13(&CHACHA20), tls12(&CHACHA20)] {
            let (typ, record) = sealed(&mut *ours);
            assert_eq!(opened(&mut *theirs, typ, record.clone(), 2).as_deref(), Ok(TEXT));
            // Another's place.
            assert_eq!(opened(&mut *theirs, typ, record.clone(), 3), Err(Error::DecryptError));
            for at in 0..record.len() {
                let mut changed = record.clone();
                changed[at] ^= 1;
                assert_eq!(opened(&mut *theirs, typ, changed, 2), Err(Error::DecryptError), "{at}");
                assert_eq!(opened(&mut *theirs, typ, record[..at].to_vec(), 2), Err(Error::DecryptError), "{at}");
            }
        }
    }
}
