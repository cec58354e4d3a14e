# What holders are told, in English. Each notice is a message with a title; the arguments are words of ours, never personal data:
#   $kind    signature | authentication
#   $cause   card-held | phone-lost | operator
#   $reason  a CRLReason name (RFC 5280 section 5.3.1)
# The back office adds whom it is for, and when it happened.

kind-of-certificate =
    { $kind ->
        [signature] certificate for digital signature
       *[authentication] certificate for user authentication
    }

certificate-issued = A { kind-of-certificate } has been issued for your smartphone. If you did not apply for it, call the call centre at once: it is open day and night.
    .title = A smartphone certificate was issued

certificate-held =
    The { kind-of-certificate } in your smartphone has been put on hold { $cause ->
        [card-held] because your card is on hold
        [phone-lost] because the smartphone was reported lost
       *[operator] by an operator
    }. While it is on hold it cannot be used.
    .title = Your smartphone certificate is on hold

certificate-hold-lifted =
    One of the reasons why the { kind-of-certificate } in your smartphone is on hold has been lifted ({ $cause ->
        [card-held] your card is no longer on hold
        [phone-lost] the smartphone is no longer reported lost
       *[operator] the operator's hold was lifted
    }). It is still on hold for another reason and cannot be used.
    .title = A hold of your smartphone certificate was lifted

certificate-released = The { kind-of-certificate } in your smartphone is no longer on hold and can be used again. If you did not ask for this, call the call centre at once.
    .title = Your smartphone certificate can be used again

certificate-revoked =
    The { kind-of-certificate } in your smartphone has ended for good: { $reason ->
        [keyCompromise] its key was reported to be in wrong hands
        [cACompromise] the issuer's key may be in wrong hands
        [affiliationChanged] what is registered about you has changed
        [superseded] another certificate has taken its place, or your card was renewed
        [cessationOfOperation] it is no longer needed
        [privilegeWithdrawn] the right to it was withdrawn
       *[other] it was revoked
    }. If you did not expect this, ask the call centre.
    .title = Your smartphone certificate has ended

card-renewed = Your card has been renewed, and the { kind-of-certificate } in your smartphone that hung on the earlier card has ended. You can apply again with your new card.
    .title = Apply again for your smartphone certificate
