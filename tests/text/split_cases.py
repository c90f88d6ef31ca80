"""Sentences of 13 languages; `|` marks where a cut belongs, and nowhere else.

Data of `test_split.py`.
"""

from __future__ import annotations

__all__ = ["CASES"]

_ENGLISH = r"""
I met Mme. Curie and Lieut. Dan.| They left.
Wm. Smith lives in Apt. 5 now.| She does too.
In Nov. I went home.| It snowed.
2 lbs. chicken and 6 ft. tall men.| Then he left.
He walked for several\nhours prior to it.| Then he ate.
Mr.\nSmith came.| He left.
Apple|\nBanana|\nOrange
Roses are red,|\nViolets are blue.
Shopping list:|\nmilk|\neggs|\nbread
Anna: hi|\nBen: hello
The Heading|\nSome text that goes on for a while and is\nwrapped at forty characters by\nMicrosoft or another editor.
Hello there.| How are you?
Mr. Smith and Mrs. Jones met Dr. Brown.| They spoke.
The rate is 3.14 percent.| It rose by 0.5 points.
J. K. Rowling wrote it.| John F. Kennedy read it.
It costs $1,299.99 in the U.S. market.| That is a lot.
He lives in the U.S.| She lives in France.
We met at 5 p.m.| He was late.
We met at 5 p.m. on Friday.| Nobody else came.
Bring pens, paper, etc. to class.| Do not forget.
See fig. 3 and No. 7 on p. 12.| Then go on.
"Stop! Wait!" she cried.| Nobody stopped.
"Are you coming?" he asked.| "No."
“I saw it. It was big.”| He paused.| Then he left.
Visit https://example.com/a.b?c=d.e for more.| Thanks.
Write to j.doe@mail.example.org today.| We answer.
Well... I think so.| Wait... what?
She said no.| Then she left. . . slowly.
[laughs] That is funny.| [clears throat. twice] Go on.
♪ In the jungle. The mighty jungle. ♪| Sing it again!
1. Open the door.| 2. Close it.| 3. Repeat.
Is it e.g. a cat, i.e. a pet?| Yes!
What?!| Really?!| Yes...
He has a Ph.D. from M.I.T. and works.| She too.
Version 2.0.1 is out.| Get it now!
It was I.| Who else?
Vitamin C.| It helps.
The end (or is it? Who knows?) came.| All slept.
He asked (why?) twice.| Good.
Chapter one|\n\nIt was late.| The end.
- First thing|\n- Second thing
"Come in!" Mary said.| "Sit down."
i am tired. so are you.| Ok.
Prices fell 5 percent in Jan. and Feb. this year.| In March they rose.
They arrived in 1990.| Berlin was grey.
Plan B.| Then we left.
"""
_GERMAN = r"""
Sie wohnt Bahnhofstr. 12 in Berlin.| Er auch.
Dr. med. Müller kam.| Er ging.
Frau Dr. rer. nat. Schulz kam am 3. Mai.| Sie ging.
z. Hd. Frau Meier.| Danke.
Inkl. MwSt. kostet es 5 Euro.| Das ist viel.
Guten Tag.| Wie geht es Ihnen?
Dr. Müller und Prof. Schmidt kamen.| Sie sprachen lange.
Das kostet z.B. 3,50 Euro.| Das ist viel.
Das kostet z. B. nichts.| Schön!
Am 3. Mai 1990 war es kalt.| Danach wurde es warm.
Der 2. Weltkrieg endete 1945.| Die Menschen waren froh.
Ludwig XIV. regierte lange.| Er baute Versailles.
Wir trafen uns um 15.30 Uhr.| Es regnete.
Sie sagte: „Komm her. Setz dich.“| Er kam.
»Halt!« rief er.| Niemand blieb stehen.
Brot, Butter, Käse usw. sind da.| Bitte nimm!
Siehe Abb. 3 auf S. 12, d.h. oben.| Dann weiter.
Das war um 50 v.Chr. in Rom.| Es war heiß.
Der Preis beträgt 1.250,00 Euro.| Er steigt.
Herr J. S. Bach komponierte viel.| Wer sonst?
Kennst du die Nr. 5?| Ja, klar.
Die Fa. Meier GmbH zahlt ca. 100 Euro.| Gut so.
Ich weiß nicht ... vielleicht.| Doch!
Termin am 3. 5. 2020 in Bonn.| Bis dann.
"""
_SPANISH = r"""
Hola.| ¿Cómo estás?
El Sr. García y la Dra. López llegaron.| Hablaron mucho.
¿Qué hora es?| ¡Es tarde!
Vive en EE. UU. desde 1990.| Trabaja allí.
Cuesta 3,50 euros, aprox. lo mismo.| Es barato.
Compra pan, leche, etc. en la tienda.| No tardes.
«Ven aquí. Siéntate.»| Él vino.| Todos callaron.
—¿Vienes? —preguntó ella.| —No.
Ud. tiene razón.| Yo no.
Nos vemos a las 5 p.m. en casa.| Adiós.
Véase la pág. 12 y el art. 3.| Luego siga.
Mide 1.80 metros.| Es alto.
No sé... tal vez.| ¡Claro!
J. L. Borges nació en 1899.| Murió en Ginebra.
Por p.ej. tres días.| Gracias.
Escribe a ana@correo.es hoy.| Te espero.
"""
_FRENCH = r"""
Bonjour.| Comment allez-vous ?
M. Dupont et Mme Durand sont là.| Ils parlent.
Il est 15 h 30.| Il pleut !
« Viens ici. Assieds-toi. »| Il vint.| Tous se turent.
« Tu viens ? » demanda-t-elle.| Non.
Cela coûte 3,50 euros env. par jour.| C'est cher.
Du pain, du lait, etc. pour demain.| Merci !
Voir p. 12, fig. 3.| Puis continuez.
Le Dr. Martin habite au 3 av. Foch.| Il est vieux.
En 52 av. J.-C. César gagna.| Il rentra.
Quoi ?!| Vraiment ?
Je ne sais pas... peut-être.| Oui !
Il y a 1 250 000 habitants.| Elle grandit.
J.-J. Rousseau écrit.| Voltaire répond.
— Tu viens ?\n|— Non.
Écris à paul@exemple.fr vite.| Je t'attends.
"""
_HINDI = r"""
नमस्ते।| आप कैसे हैं?
डॉ. शर्मा आए।| वे बैठ गए।
कीमत 3.50 रुपये है।| यह कम है।
ए. पी. जे. अब्दुल कलाम महान थे।| सब जानते हैं।
वह घर गया।| फिर सो गया॥
क्या तुम आओगे?| हाँ!| ज़रूर।
श्री. वर्मा और प्रो. गुप्ता मिले।| बातें हुईं।
उसने कहा, "रुको। बैठो।"| वह बैठ गया।| सब चुप थे।
यह अच्छा है.| वह बुरा है.
आम, केला आदि. फल हैं।| खाओ।
मैं सोचता हूँ... शायद।| ठीक है।
https://example.in/a.b देखो।| धन्यवाद।
[laughs] बहुत अच्छा।| चलो।
पृ. 12 देखिए।| आगे बढ़िए।
आज 12.5.2020 है।| कल छुट्टी है।
"""
_ITALIAN = r"""
Ciao.| Come stai?
Il sig. Rossi e la dott.ssa Bianchi parlano.| Poi escono.
Costa 3,50 euro, ca. il doppio.| È caro.
Sono le 15.30.| Piove!
«Vieni qui. Siediti.»| Lui venne.| Tutti tacquero.
Pane, latte, ecc. per domani.| Grazie.
Vedi pag. 12 e fig. 3.| Poi continua.
La Fiat S.p.A. produce auto.| Vende molto.
Non so... forse.| Certo!
G. Verdi nacque nel 1813.| Morì a Milano.
Il prof. Neri arriva.| Dove va?
Nel 44 a.C. morì Cesare.| Roma pianse.
«Vieni?» chiese lei.| «No.»
Abita al n. 5 di via Roma.| È vicino.
Il totale è 1.250,00 euro.| Paga subito.
Scrivi a ugo@posta.it oggi.| Ti aspetto.
"""
_JAPANESE = r"""
こんにちは。|お元気ですか？
「行くよ。」と彼は言った。|彼女は笑った。
「やめて！待って！」と叫んだ。|誰も来ない。
今日は3.5度です。|寒いですね。
え？|本当？|はい！
そうか……でも行く。|さようなら。
彼は医者だ（二年前から。多分）。|忙しい。
『吾輩は猫である。名前はまだ無い。』を読んだ。|面白い。
URLはhttps://example.jp/a.bです。|見てください。
価格は１．５倍です。|高い。
えっ！？|まさか。
朝です。|\n昼です。
[laughs]面白いね。|もう一度。
メールはa.b@example.jpへ。|待っています。
「はい」彼は答えた。|終わり。
"""
_KOREAN = r"""
안녕하세요.| 잘 지내세요?
가격은 3.5달러입니다.| 비쌉니다.
"멈춰! 기다려!" 그가 외쳤다.| 아무도 없었다.
정말요?| 네!| 맞아요.
글쎄요... 아마도.| 네.
오늘은 5월 3일입니다.| 춥습니다.
그는 Dr. Kim을 만났다.| 그리고 갔다.
https://example.kr/a.b 를 보세요.| 감사합니다.
메일은 a.b@example.kr 입니다.| 기다릴게요.
1. 문을 여세요.| 2. 닫으세요.
[laughs] 재미있네요.| 다시 해요.
그는 (정말? 왜?) 떠났다.| 끝.
“네.” 그녀가 말했다.| 끝이다.
총 1,250.50원입니다.| 싸네요.
"""
_POLISH = r"""
Dzień dobry.| Jak się masz?
Dr Nowak i prof. Kowalski przyszli.| Oni rozmawiali.
Dnia 3. maja było zimno.| Potem padało.
To kosztuje np. 3,50 zł za kilogram.| To dużo.
Chleb, mleko itd. na jutro.| Dziękuję!
Mieszka przy ul. Długiej 5 m. 3.| Tam jest cicho.
„Chodź tu. Siadaj.”| Przyszedł.| Wszyscy milczeli.
— Idziesz?\n|— Nie.
W 1990 r. wrócił do domu.| Potem pracował.
Zob. str. 12, rys. 3.| Potem dalej.
A. Mickiewicz pisał wiersze.| Kto jeszcze?
Nie wiem... może.| Tak!
Jan III. Sobieski wygrał.| Wszyscy świętowali.
Godz. 15.30 to dobra pora.| Przyjdź!
Tzw. złota jesień, tj. październik.| Lubię ją.
Napisz na jan@poczta.pl dziś.| Czekam.
"""
_PORTUGUESE = r"""
Olá.| Como vai?
O Sr. Silva e a Dra. Costa chegaram.| Eles falaram.
Custa 3,50 euros, aprox. o dobro.| É caro.
São 15.30 horas.| Chove!
«Vem cá. Senta-te.»| Ele veio.| Todos calaram.
Pão, leite, etc. para amanhã.| Obrigado.
Veja a pág. 12 e o art. 3.| Depois continue.
No séc. V a.C. viveu ali.| Ele morreu.
Não sei... talvez.| Claro!
D. Pedro II. reinou muito.| Ele viajou.
— Você vem?\n|— Não.
O prof. Lima chega.| Onde vai?
A empresa é a Lua Ltda. de Lisboa.| Ela cresce.
O total é 1.250,00 euros.| Pague já.
“Vens?” perguntou ela.| “Não.”
Escreve a rui@correio.pt hoje.| Espero.
"""
_RUSSIAN = r"""
Привет.| Как дела?
А. С. Пушкин родился в 1799 г. в Москве.| Он был поэтом.
Это стоит 3,5 тыс. рублей.| Это много.
Хлеб, молоко и т. д. на завтра.| Потом домой.
Хлеб, молоко и т.д. на завтра.| Спасибо!
Он живёт на ул. Ленина.| Там тихо.
«Иди сюда. Садись.»| Он пришёл.| Все молчали.
— Ты идёшь?\n|— Нет.
См. стр. 12 и рис. 3.| Затем дальше.
Проф. Иванов и акад. Петров спорили.| Кто прав?
Не знаю... может быть.| Да!
Т. е. завтра?| Нет, сегодня.
В 44 г. до н.э. умер Цезарь.| Рим плакал.
«Стой!» крикнул он.| Никто не стоял.
Цена 1 250 000 руб. за дом.| Дорого.
Пиши на ivan@pochta.ru сегодня.| Жду.
"""
_TURKISH = r"""
Merhaba.| Nasılsın?
Dr. Yılmaz ve Prof. Demir geldi.| Konuştular.
Bu 5. sınıf öğrencisi.| Çok çalışkan.
Fiyatı 3,50 lira.| Bu pahalı.
Ekmek, süt vb. al.| Teşekkürler!
“Gel. Otur.” dedi.| Herkes sustu.
Atatürk Cad. No. 5 adresinde.| Orada bekle.
2. Dünya Savaşı bitti.| Herkes sevindi.
Bilmiyorum... belki.| Evet!
İ. İnönü konuştu.| Halk dinledi.
M.Ö. 50 yılında oldu.| Sonra unutuldu.
Saat 15.30 oldu.| Yağmur yağıyor.
Şirket Ay A.Ş. adını aldı.| Büyüdü.
Bkz. s. 12 ve şek. 3.| Sonra devam et.
— Geliyor musun?\n|— Hayır.
Bugün ali@posta.tr adresine yaz.| Bekliyorum.
"""
_CHINESE = r"""
你好。|你好吗？
“你来吗？”他问。|“不来。”
他说：“坐下。别动。”|大家都不说话。
今天是3.5度。|很冷。
真的？|真的！|太好了。
我不知道……也许吧。|再见。
他（三年前。也许）来过。|走了。
《你好。再见。》是一本书。|很好看。
网址是https://example.cn/a.b。|请看。
邮箱是a.b@example.cn。|等你。
什么！？|不会吧。
价格是１．５倍。|贵。
[laughs]真有意思。|再来一次。
早上了。|\n中午了。
「走吧。」她說。|他走了。
"""


def _cases(language: str, block: str) -> list[tuple[str, str]]:
    return [(language, line.replace("\\n", "\n")) for line in block.strip().splitlines()]


CASES: tuple[tuple[str, str], ...] = tuple(
    case
    for language, block in (
        ("en", _ENGLISH),
        ("de", _GERMAN),
        ("es", _SPANISH),
        ("fr", _FRENCH),
        ("hi", _HINDI),
        ("it", _ITALIAN),
        ("ja", _JAPANESE),
        ("ko", _KOREAN),
        ("pl", _POLISH),
        ("pt", _PORTUGUESE),
        ("ru", _RUSSIAN),
        ("tr", _TURKISH),
        ("zh", _CHINESE),
    )
    for case in _cases(language, block)
)
"""(language, text with marks)."""
