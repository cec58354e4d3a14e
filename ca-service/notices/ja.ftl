# 利用者への通知（日本語）。通知ごとに本文と題名（title）を置く。引数は当システムの語のみで、個人情報は含まない。
#   $kind    signature | authentication
#   $cause   card-held | phone-lost | operator
#   $reason  CRLReasonの名称（RFC 5280 5.3.1）
# 宛先と発生日時は、通知を届ける側が添える。

kind-of-certificate =
    { $kind ->
        [signature] 署名用電子証明書
       *[authentication] 利用者証明用電子証明書
    }

certificate-issued = スマートフォン用の{ kind-of-certificate }が発行されました。お心当たりのない場合は、直ちにコールセンター（24時間受付）へご連絡ください。
    .title = スマートフォン用電子証明書が発行されました

certificate-held =
    { $cause ->
        [card-held] カードの電子証明書が一時保留となったため、
        [phone-lost] スマートフォン紛失のお届けにより、
       *[operator] 担当者の操作により、
    }スマートフォン用の{ kind-of-certificate }を一時保留にしました。一時保留の間はご利用になれません。
    .title = スマートフォン用電子証明書を一時保留にしました

certificate-hold-lifted =
    スマートフォン用の{ kind-of-certificate }の一時保留の理由の一つ（{ $cause ->
        [card-held] カードの一時保留
        [phone-lost] スマートフォンの紛失
       *[operator] 担当者による一時保留
    }）が解除されました。ほかの理由による一時保留が続いているため、まだご利用になれません。
    .title = 一時保留の理由の一つが解除されました

certificate-released = スマートフォン用の{ kind-of-certificate }の一時保留が解除され、再びご利用になれます。お心当たりのない場合は、直ちにコールセンターへご連絡ください。
    .title = スマートフォン用電子証明書の一時保留が解除されました

certificate-revoked =
    スマートフォン用の{ kind-of-certificate }が失効しました（理由：{ $reason ->
        [keyCompromise] 秘密鍵の危殆化の届出
        [cACompromise] 認証局の秘密鍵の危殆化のおそれ
        [affiliationChanged] 登録されている記載事項の変更
        [superseded] 新しい電子証明書の発行又はカードの更新
        [cessationOfOperation] 利用の終了
        [privilegeWithdrawn] 利用資格の喪失
       *[other] 失効の手続
    }）。お心当たりのない場合は、コールセンターへお問い合わせください。
    .title = スマートフォン用電子証明書が失効しました

card-renewed = カードの更新に伴い、更新前のカードにひも付くスマートフォン用の{ kind-of-certificate }が失効しました。新しいカードを使って、改めてお申し込みいただけます。
    .title = スマートフォン用電子証明書を改めてお申し込みください
