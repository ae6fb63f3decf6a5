"""Which language a prompt is written in, by its script and a few small words; None where that is not certain.

A prompt is a handful of words, often names, so anything that is not certain is left alone: a model that gets an English
prompt untranslated loses nothing, and one that gets a wrong translation loses the prompt.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

NAMES: Mapping[str, str] = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""By ISO 639-1 code; what `detect` can answer."""

SCRIPTS: Mapping[str, str] = {
    "ARABIC": "ar", "BENGALI": "bn", "CJK": "zh", "CYRILLIC": "ru", "DEVANAGARI": "hi", "GREEK": "el",
    "HANGUL": "ko", "HEBREW": "he", "HIRAGANA": "ja", "KATAKANA": "ja", "TAMIL": "ta", "TELUGU": "te", "THAI": "th",
}  # fmt: skip
"""First word of a letter's Unicode name → the language that it stands for, unless LETTERS says otherwise."""

LETTERS: Mapping[str, Mapping[str, str]] = {
    "ar": {"ur": "ٹڈڑںےہ", "fa": "پچژگکی"},
    "ru": {"uk": "іїєґ"},
    "latin": {
        "cs": "ěřů", "de": "ß", "es": "ñ¿¡", "hu": "őű", "pl": "ąćęłńśźż", "pt": "ãõ", "ro": "țșă",
        "sv": "å", "tr": "ğış", "vi": "đơưạảấầẩẫậắằẳẵặẹẻẽếềểễệịỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
    },
}  # fmt: skip
"""Letters that only one language of a script has, near enough; among Arabic letters the first with one of its own."""

WORDS: Mapping[str, str] = {
    "cs": "a na s v ve do pod nad za mezi velký malý červený modrý zelený bílý černý je který která dům kočka pes "
    "strom nebe moře les hora muž žena noc střeše starý dva dvě tři jeden jedna se si jako když nebo bez před při "
    "po u od k z o to jsou které odstraň nahraď přidej udělej děti psi auto prázdná prázdný loď",
    "da": "en et og på med under over mellem stor lille rød blå grøn hvid hvidt sort gul gammel uden som i af ved hus "
    "hund kat træ himmel hav skov bjerg mand kvinde nat gammelt to tre der er til fra før efter mens eller ikke "
    "fjern erstat tilføj lav børn bil tom tomt",
    "de": "der die das ein eine einen einem einer eines und mit auf unter über neben zwischen vor hinter im am aus "
    "von zum zur großer großes kleine kleiner kleines rot roter rote rotes blau blauer blaues grün grüner grünes "
    "weiß weißer weißes schwarz schwarzer schwarzes gelb gelber gelbes alter altes nicht ohne für bei haus hund "
    "katze baum himmel wolken meer wald berg berge straße nacht mann frau mädchen apfel schloss alte wiese hölzern "
    "nebel sonnenuntergang zwei drei vier fünf den dem des als wenn oder kein keine ist sind wird während durch "
    "gegen seit bis sehr mehr viele wie auch noch sich ersetze ersetzen entferne entfernen füge mache mach kind "
    "kinder auto leer leere leeres spielt spielen sitzt steht liegt schläft fenster wasser schnee feuer licht",
    "en": "a an the and with on of in under over next to between behind at from by for without is are his her its big "
    "small large little red blue green white black yellow old young wearing holding standing sitting made no not my "
    "new die per as con people man woman girl boy building city house street truck car sky night light poster cover "
    "photo portrait painting style film cool hard last wooden golden above below two three four five this that "
    "these those there who which where while during through against after before if or remove replace add make put "
    "delete extend continue turn change into onto out up down off some many very more it they he she we you be been "
    "was were has have air alter am bank barn boom cane care chat come do den door dos due fire grand grande hav "
    "kind kinder lag leer lite mare mas med mens mint mit mobil pad plus pod por pour rot rote rue sa sans se si "
    "sin sob sole son sort sub sur tee till tot tua van vers vert vide wit yang yap noir la le el las los der des "
    "das von du de del en e o s y i u um un il lo ma est les fa ta var et",
    "es": "un una unos unas el la los las y con en de del al sobre bajo entre detrás grande pequeño pequeña rojo roja "
    "azul verde blanco blanca negro negra amarillo amarilla viejo vieja sin para por junto gato perro casa árbol "
    "cielo nubes mar bosque montaña calle noche hombre mujer niña puerta madera vaso hierba sol dos tres cuatro "
    "cinco lo su sus este esta que como cuando donde pero muy más durante contra desde hasta hacia se es son está "
    "están quita reemplaza añade pon haz elimina niño niños coche vacío vacía fuego agua nieve luz ventana",
    "fi": "ja on iso pieni punainen sininen vihreä valkoinen musta keltainen jossa kanssa alla päällä vieressä vanha "
    "kissa koira talo puu taivas meri metsä vuori mies nainen yö katolla kaksi kolme yksi se joka kun tai ei ilman "
    "ennen jälkeen aikana läpi poista korvaa lisää tee lapsi lasta lapset auto tyhjä penkki",
    "fr": "un une des le la les et avec dans sur sous de du au aux entre derrière devant grand grande petit petite "
    "rouge bleu bleue vert verte blanc blanche noir noire jaune vieux vieille sans pour près est qui chat chien "
    "maison arbre ciel nuages mer forêt montagne montagnes rue nuit homme femme fille porte bois verre soleil "
    "château herbe deux trois quatre cinq ce cet cette ces son sa ses leur que où quand comme mais très plus "
    "pendant contre depuis vers se sont enlève remplace ajoute mets fais supprime enfant enfants voiture vide feu "
    "eau neige lumière fenêtre banc",
    "hu": "egy a az és alatt felett mellett között nagy kicsi piros kék zöld fehér fekete sárga régi nélkül macska "
    "kutya ház fa ég tenger erdő hegy férfi nő éjszaka alma két kettő három ez aki ami mint vagy nem előtt után "
    "közben át távolítsd cseréld adj gyerek autó üres pad hó víz",
    "id": "sebuah seekor seorang yang dan dengan di dari untuk besar kecil merah biru hijau putih hitam kuning atas "
    "bawah tua tanpa kucing anjing rumah pohon langit laut hutan gunung pria wanita malam apel dua tiga empat ini "
    "itu saat ketika atau tidak sebelum sesudah melalui hapus ganti tambahkan buat anak mobil kosong bangku api air "
    "salju bermain duduk",
    "it": "un una uno il lo la i gli le e con in di del della sul sulla sotto tra dietro grande piccolo piccola rosso "
    "rossa blu azzurro verde bianco bianca nero nera giallo gialla vecchio vecchia senza per che gatto gattino cane "
    "casa albero cielo nuvole mare bosco montagna strada notte uomo donna porta legno bicchiere sole tramonto due "
    "tre quattro cinque questo questa questi suo sua come quando dove ma molto più durante contro verso si è sono "
    "su al alla nel nella dal dalla rimuovi sostituisci aggiungi metti fai togli bambino bambini macchina vuoto "
    "vuota fuoco acqua neve luce finestra panchina",
    "nl": "een de het en met op in onder boven naast tussen achter van voor groot grote klein kleine rood rode blauw "
    "blauwe groen groene wit witte zwart zwarte geel gele oud oude zonder bij hond kat huis boom lucht wolken zee "
    "bos berg straat nacht man vrouw deur houten gras glas twee drie vier vijf dit dat deze die als wanneer of niet "
    "geen is zijn wordt tijdens door tegen sinds tot zeer meer veel ook nog zich aan verwijder vervang voeg maak "
    "zet kind kinderen auto lege leeg bank vuur water sneeuw licht raam",
    "no": "en et ei og på med under over mellom stor liten lite rød blå grønn hvit svart gul gammel uten som av ved "
    "hus hund katt tre himmel hav skog fjell mann kvinne natt gammelt tak rødt hvitt to fire er til fra før etter "
    "mens eller ikke fjern erstatt legg lag barn bil tom tomt",
    "pl": "i na w we z ze pod nad za między obok duży duża mały mała czerwony czerwona czerwone niebieski niebieska "
    "zielony zielona biały biała czarny czarna żółty żółta stary stara bez dla kot pies dom drzewo niebo chmury "
    "morze las góra góry ulica noc kobieta dziewczyna drzwi kieliszek lesie dwa dwie dwoje trzy jeden jedna się jak "
    "kiedy lub nie przed po przy od do podczas przez jest są który która usuń zastąp dodaj zrób dzieci auto "
    "samochód pusty pusta ławka ogień woda śnieg",
    "pt": "um uma uns umas o a os as e com em no na de do da sobre sob entre atrás grande pequeno pequena vermelho "
    "vermelha azul verde branco branca preto preta amarelo amarela velho velha sem para por ao gato cachorro cão "
    "casa árvore céu nuvens mar floresta montanha rua noite homem mulher menina porta madeira copo sol maçã dois "
    "duas três quatro cinco este esta que como quando onde mas muito mais durante contra desde até num numa pelo "
    "pela se é são está estão à nos nas remova substitua adicione coloque faça criança crianças carro vazio vazia "
    "fogo água neve luz janela",
    "ro": "un o și cu pe în sub lângă între mare mic mică roșu roșie albastru verde alb albă negru neagră galben fără "
    "din de la pisică câine casă copac cer nori pădure munte stradă noapte bărbat femeie măr doi două trei acest "
    "această care când unde dar foarte mai într prin este sunt șterge înlocuiește adaugă fă copii copil mașină gol "
    "goală foc apă zăpadă lumină",
    "sv": "en ett och på med under över mellan bakom stor stort liten litet röd rött blå blått grön grönt vit vitt "
    "svart gul gult gammal utan som i av vid hus hund katt träd himmel moln hav skog berg gata natt kvinna taket "
    "gammalt äpple två tre fyra är till från före efter medan eller inte ta ersätt lägg gör barn bil tom tomt bänk "
    "eld vatten snö ljus",
    "tr": "bir ve ile üzerinde altında yanında büyük küçük kırmızı mavi yeşil beyaz siyah sarı eski olan için kedi "
    "köpek ev ağaç gökyüzü deniz orman dağ sokak gece adam kadın kapı elma bulutlar iki üç dört bu şu o gibi ama "
    "çok daha sırasında karşı kadar değil var kaldır değiştir ekle yap çocuk araba boş bank ateş su kar ışık",
    "vi": "một và với trên dưới trong của lớn nhỏ đỏ xanh trắng đen vàng màu con cái mèo chó nhà cây trời biển rừng "
    "núi đường đêm người táo hai ba bốn này đó khi hoặc không trước sau qua xóa thay thêm làm đứa trẻ xe trống lửa "
    "nước tuyết ngọn chiếc",
}
"""Small words, colours and what is asked for most; for English also what stands beside foreign words in its prompts.
A word of several languages counts less for each."""
MARKED = 0.4
"""What a word counts for the one language that has its letters: English borrows words, so one alone is not certain."""
SHORTEST = 3
"""Latin letters of a text, at least."""
CERTAIN, SHARE, AHEAD, AHEAD_OF_ENGLISH = 0.6, 0.3, 1.2, 3.0
"""What must be counted at least, and per word where English is near; how much more than for the next language."""

_SHARED = Counter(word for words in WORDS.values() for word in set(words.split()))
_LISTS = {language: frozenset(words.split()) for language, words in WORDS.items()}
_WORD = re.compile(r"[^\W\d_]+")


def detect(text: str) -> str | None:
    """ISO 639-1 code of the language of most of the text, or None where that is not certain."""
    letters = [letter for letter in unicodedata.normalize("NFC", text).lower() if letter.isalpha()]
    if not letters:
        return None
    scripts = Counter(_script(letter) for letter in letters)
    script, count = scripts.most_common(1)[0]
    if script in ("zh", "ja") and scripts["ja"]:  # Japanese is written in both
        script, count = "ja", scripts["ja"] + scripts["zh"]
    if 2 * count <= len(letters):
        return None
    if script == "latin":
        return _of_latin(text.lower()) if count >= SHORTEST else None
    return _by_letters(script, letters) or (script or None)


def _script(letter: str) -> str:
    """The language that a letter's script stands for; "latin"; empty for scripts that are not known here."""
    first = unicodedata.name(letter, "").partition(" ")[0]
    return "latin" if first == "LATIN" else SCRIPTS.get(first, "")


def _by_letters(script: str, letters: list[str]) -> str | None:
    found = [language for language, own in LETTERS.get(script, {}).items() if any(each in own for each in letters)]
    return found[0] if len(found) == 1 or (found and script == "ar") else None


def _of_latin(text: str) -> str | None:
    """The language with clearly the most small words and letters of its own."""
    scores = dict.fromkeys(WORDS, 0.0)
    said = _WORD.findall(text)
    for word in said:
        marked = _by_letters("latin", list(word))
        for language, words in _LISTS.items():
            scores[language] += word in words and 1.0 / _SHARED[word]
            scores[language] += MARKED * (language == marked)
    (best, most), (_, next_most) = sorted(scores.items(), key=lambda each: -each[1])[:2]
    is_borrowed = most < AHEAD_OF_ENGLISH * scores["en"]
    enough = max(CERTAIN, SHARE * len(said)) if is_borrowed and best != "en" else CERTAIN
    return best if most >= enough and most > AHEAD * next_most else None
