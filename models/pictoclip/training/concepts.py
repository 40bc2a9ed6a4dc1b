#!/usr/bin/env python3
"""Step 1: decide which pictures are used and what they are called.

Reads the icon sets and the emoji names from node_modules and writes one JSON
file with an entry per picture:

    {"set", "icon", "kind", "weight", "concept", "group",
     "label", "aliases": [...], "tags": [...], "kinds": [...]}

`label` is the main name, `aliases` are other names of the same thing, `tags`
are loose keywords, `kinds` are superclass names ("bird", "fruit").

Usage: concepts.py --modules node_modules --out cache/concepts.json
"""
import argparse
import json
import re
from collections import Counter
from pathlib import Path

import rasters

HERE = Path(__file__).resolve().parent

# Superclass names for the emoji subgroups; the first one is the usual one.
KINDS = {
    "face-smiling": ["smiling face", "smiley", "face"], "face-affection": ["loving face", "smiley", "face"],
    "face-tongue": ["face with a tongue", "smiley", "face"], "face-hand": ["face with a hand", "smiley", "face"],
    "face-neutral-skeptical": ["neutral face", "smiley", "face"], "face-sleepy": ["sleepy face", "smiley", "face"],
    "face-unwell": ["sick face", "smiley", "face"], "face-hat": ["face with a hat", "smiley", "face"],
    "face-glasses": ["face with glasses", "smiley", "face"], "face-concerned": ["sad face", "smiley", "face"],
    "face-negative": ["angry face", "smiley", "face"], "face-costume": ["mask", "face"],
    "cat-face": ["cat face"], "monkey-face": ["monkey face"], "heart": ["heart"], "emotion": ["emotion"],
    "hand-fingers-open": ["hand", "hand gesture"], "hand-fingers-partial": ["hand", "hand gesture"],
    "hand-single-finger": ["pointing hand", "hand gesture"], "hand-fingers-closed": ["fist", "hand gesture"],
    "hands": ["hands", "hand gesture"], "hand-prop": ["hand"], "body-parts": ["body part"],
    "person": ["person"], "person-gesture": ["person", "gesture"], "person-role": ["person", "job"],
    "person-fantasy": ["fantasy person", "person"], "person-activity": ["person", "activity"],
    "person-sport": ["athlete", "person"], "person-resting": ["person"], "family": ["family", "people"],
    "person-symbol": ["symbol"], "animal-mammal": ["mammal", "animal"], "animal-bird": ["bird", "animal"],
    "animal-amphibian": ["amphibian", "animal"], "animal-reptile": ["reptile", "animal"],
    "animal-marine": ["sea animal", "animal"], "animal-bug": ["insect", "bug", "animal"],
    "plant-flower": ["flower", "plant"], "plant-other": ["plant"], "food-fruit": ["fruit", "food"],
    "food-vegetable": ["vegetable", "food"], "food-prepared": ["meal", "food"],
    "food-asian": ["asian food", "food"], "food-sweet": ["dessert", "sweet food", "food"],
    "drink": ["drink", "beverage"], "dishware": ["dishware", "cutlery"], "place-map": ["map"],
    "place-geographic": ["landscape", "place"], "place-building": ["building", "place"],
    "place-religious": ["place of worship", "building"], "place-other": ["place"],
    "transport-ground": ["land vehicle", "vehicle"], "transport-water": ["boat", "vehicle"],
    "transport-air": ["aircraft", "vehicle"], "hotel": ["hotel"], "time": ["clock", "time"],
    "sky-weather": ["weather", "sky"], "event": ["celebration", "event"], "award-medal": ["award", "medal"],
    "sport": ["sports equipment", "sport"], "game": ["game", "toy"], "arts-crafts": ["art"],
    "clothing": ["piece of clothing", "clothing"], "sound": ["sound"], "music": ["music"],
    "musical-instrument": ["musical instrument", "instrument"], "phone": ["phone"],
    "computer": ["computer", "electronic device"], "light-video": ["light", "camera"],
    "book-paper": ["book", "paper"], "money": ["money"], "mail": ["mail"],
    "writing": ["writing tool"], "office": ["office supply"], "lock": ["lock"], "tool": ["tool"],
    "science": ["science equipment"], "medical": ["medical item", "medicine"],
    "household": ["household item"], "other-object": ["object"], "transport-sign": ["sign"],
    "warning": ["warning sign", "sign"], "arrow": ["arrow"], "religion": ["religious symbol", "symbol"],
    "zodiac": ["zodiac sign", "symbol"], "av-symbol": ["media button", "button"], "gender": ["symbol"],
    "math": ["math symbol", "symbol"], "punctuation": ["punctuation mark", "symbol"],
    "currency": ["currency sign", "symbol"], "other-symbol": ["symbol"], "keycap": ["keycap", "button"],
    "alphanum": ["letter button", "button"], "geometric": ["shape", "geometric shape"], "flag": ["flag"],
}
# How often pictures of a subgroup are shown, by the start of its name; 1 where nothing is said.
SHARE = {"person": 0.3, "family": 0.15, "hand": 0.5, "body": 0.6, "time": 0.2, "arrow": 0.2, "alphanum": 0.1,
         "keycap": 0.1, "zodiac": 0.3, "geometric": 0.3, "av-symbol": 0.25, "other-symbol": 0.3, "religion": 0.3,
         "transport-sign": 0.4, "gender": 0.2, "math": 0.3, "punctuation": 0.3, "currency": 0.3, "warning": 0.5}
SKIPPED_SUBGROUPS = {"country-flag", "subdivision-flag", "skin-tone", "hair-style"}

# Icon names with one of these words describe user-interface states or brands, not things.
UI_WORDS = set("""
add added remove removed delete edit edited plus minus off on check checked cancel cancelled close closed x alert
warning cog settings setting sync refresh search share export import download upload arrow arrows chevron caret align
aligned format formatted table column columns row rows border text sort sorted filter filtered file files folder folders
database databases server code git api user users account accounts person persons cellphone numeric alpha
number letter letters roman layout grid view list lists menu panel sidebar tab tabs window windows app apps dialog
form input cursor select selection multiple group ungroup merge split move moved resize expand collapse increase
decrease left right up down top bottom upper lower horizontal vertical horizontally vertically start end center middle
inside outside high low medium half full empty big small mini large slash disabled enabled disable enable active
inactive auto manual variant outline outlined filled bold light thin regular line solid alt two tone duotone fill badge
circle circled square squared rounded hexagon octagon box boxes dots dot data analytics report reports online offline
history undo redo reload restore rotate zoom play pause stop skip next previous forward backward rewind record
volume mute unmute signal wifi network lan wan bluetooth usb hdmi ethernet router gesture swipe touch tap click
hd sd uhd fps mb gb kb px id ip vpn ssl http https html css js json xml pdf doc csv sql svg png jpg gif mp txt zip
ppt xls raw ai ar vr tv iot nfc qr sim gps esim lte eps
page pages pagination section sections header footer heading paragraph indent outdent font fonts typography
underline strikethrough italic subscript superscript quote quotes link links unlink attach bookmark bookmarks
component components variable variables function functions parameter entity relation schema query
transfer transform transition translate version versions wrap unwrap approximate equal greater less than
add-in sensor relay device devices connector connection connections connect connected disconnect disconnected plug-in
status pending progress percent percentage rate rating threshold transaction transactions logs log logging
assignment assignments task tasks todo workflow pipeline template templates draft drafts archive archived inbox outbox
type types mode modes effect effects filtering adjust adjustments brightness contrast exposure iso aperture hdr
crop flip mirror blur vignette grain denoise distort perspective wb lens format-list
desktop-access tooltip toolbar toggle switch switches slider sliders radio-button checkbox checkboxes scrollbar
human male female man woman men women boy girl
""".split())
UNWANTED = set("""penis vagina vulva sperm condom condoms breast breasts uterus anus iud contraceptive contraception
sex sexual cancer hiv aids gun pistol rifle ammunition""".split())
BRANDS = set("""
google microsoft apple facebook twitter instagram youtube whatsapp github gitlab bitbucket android linux ubuntu debian
amazon aws azure netflix spotify paypal visa mastercard steam xbox playstation nintendo slack discord skype zoom
linkedin pinterest reddit snapchat tiktok telegram wechat weibo qq alipay baidu dribbble behance figma sketch adobe
dropbox evernote trello jira firefox chrome safari opera edge python java javascript typescript react vue angular
svelte nodejs npm docker kubernetes wordpress drupal tumblr vimeo twitch medium wikipedia yahoo yelp uber lyft airbnb
bitcoin ethereum litecoin brand logo material codepen foursquare vine flickr soundcloud lastfm deviantart patreon
stripe shopify ebay etsy notion asana bing tesla nasa ikea kickstarter messenger office onedrive outlook teams windows
wordpress laravel php ruby rust swift kotlin flutter dart sass bootstrap tailwind webpack babel eslint prettier redux
gitea jquery jsfiddle language unity unreal blender autodesk dolby simkl plex kodi vlc emby jellyfin roku hulu nvidia
amd intel raspberry arduino arch fedora centos redhat gentoo manjaro mint freebsd bsd gnome kde lastpass bitwarden
keepass nextcloud owncloud openstack openid proxmox qualcomm rollupjs semantic seal terraform ansible vuetify
vuejs tor tooltip umbraco untappd venmo vk w3c watchos webrtc xamarin xing xmpp zend gatsby graphql ember eslint
""".split()) - set("vine medium edge safari mint rust ruby swift seal raspberry table blender".split())


def words_of(name: str) -> str:
    """A readable lower-case name: letters and single spaces only."""
    name = name.lower().replace("’", "'").replace("“", "").replace("”", "").replace("'", "")
    name = name.encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", " ", name)
    return re.sub(r"\s+", " ", name).strip()


def unique(names, without=()):
    seen, out = set(without), []
    for name in names:
        if name and name not in seen:
            seen.add(name)
            out.append(name)
    return out


def share(subgroup):
    return next((v for k, v in SHARE.items() if subgroup.startswith(k)), 1.0)


def load_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def plain_hex(code: str) -> str:
    return code.upper().replace("-FE0F", "")


def load_emoji(modules: Path):
    """Emoji table by code point sequence, and an index from slugs to sequences."""
    base = modules / "emojibase-data"
    data = load_json(base / "en" / "data.json")
    meta = load_json(base / "meta" / "groups.json")
    shortcodes = {}
    for preset in ("cldr", "emojibase", "github", "iamcal", "joypixels"):
        for code, names in load_json(base / "en" / "shortcodes" / f"{preset}.json").items():
            names = names if isinstance(names, list) else [names]
            shortcodes.setdefault(plain_hex(code), []).extend(names)
    emoji, slugs = {}, {}
    for e in data:
        if "subgroup" not in e:
            continue
        subgroup = meta["subgroups"][str(e["subgroup"])]
        if subgroup in SKIPPED_SUBGROUPS:
            continue
        code = plain_hex(e["hexcode"])
        label = words_of(e["label"])
        aliases = [words_of(s) for s in shortcodes.get(code, [])]
        aliases = [a for a in aliases if not re.search(r"\d", a) and len(a) > 2 and len(a.split()) <= 5]
        tags = [words_of(t) for t in e.get("tags", [])]
        tags = [t for t in tags if len(t) > 2 and not re.search(r"\d", t)]
        aliases = unique(aliases, [label])
        emoji[code] = dict(concept=code, group=subgroup, label=label, aliases=aliases,
                           tags=unique(tags, [label] + aliases), kinds=KINDS.get(subgroup, []))
    for code, e in emoji.items():           # labels win over aliases
        slugs.setdefault(e["label"].replace(" ", ""), code)
    for code, e in emoji.items():
        for name in e["aliases"] + [words_of(s) for s in shortcodes.get(code, [])]:
            slugs.setdefault(name.replace(" ", ""), code)
    return emoji, slugs


def split_joined(name: str, frequency: Counter, longest=18):
    """Cut a name written without spaces into known words (fewest, then most frequent)."""
    best = [(0, 0, [])] + [None] * len(name)
    for end in range(1, len(name) + 1):
        for begin in range(max(0, end - longest), end):
            piece = name[begin:end]
            too_short = len(piece) < 3 and piece not in ("a", "of", "in", "on", "no", "up")
            if best[begin] is None or piece not in frequency or too_short:
                continue
            cost = (best[begin][0] + 1, best[begin][1] - frequency[piece], best[begin][2] + [piece])
            if best[end] is None or cost[:2] < best[end][:2]:
                best[end] = cost
    return " ".join(best[-1][2]) if best[-1] else None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--modules", type=Path, default=HERE / "node_modules")
    ap.add_argument("--sources", type=Path, default=HERE / "sources.json")
    ap.add_argument("--out", type=Path, default=HERE / "cache" / "concepts.json")
    args = ap.parse_args()

    sets = args.modules / "@iconify-json"
    emoji, slugs = load_emoji(args.modules)
    sources = load_json(args.sources)

    # Icon names of sets with code points add further slugs for those without.
    toned = set()
    by_name = {}
    for path in sorted(sets.glob("*/chars.json")):
        for code, name in load_json(path).items():
            code = plain_hex(code)
            if re.search(r"1F3F[B-F]", code):
                toned.add((path.parent.name, name))
            elif code in emoji:
                by_name.setdefault((path.parent.name, name), code)
                slugs.setdefault(name.replace("-", ""), code)
    flat_tones = {n for s, n in toned if s == "fluent-emoji-flat"}
    toned |= {("fluent-emoji", n) for n in flat_tones}
    flat_names = {n: c for (s, n), c in by_name.items() if s == "fluent-emoji-flat"}
    by_name.update({("fluent-emoji", n): c for n, c in flat_names.items()})

    frequency = Counter()
    for e in emoji.values():
        for name in [e["label"]] * 3 + e["aliases"] + e["tags"]:
            frequency.update(name.split())
    frequency.update("telephone notepad notepage upwards rightwards leftwards downwards".split())
    frequency.update("speaker wave waves lying side facing".split())
    emoji_words = set(frequency)

    entries, report = [], {}
    for role in ("train", "held_out"):
        for set_name, rule in sources[role].items():
            if rasters.codes_of(rule, args.modules):        # pictures named by code point
                icons = {c: {} for c in rasters.codes_of(rule, args.modules)}
                by_name.update({(set_name, c): plain_hex(c) for c in icons})
                categories = {}
            else:
                icons = load_json(sets / set_name / "icons.json")["icons"]
                categories = load_json(sets / set_name / "metadata.json").get("categories", {})
            logos = {i for c, names in categories.items() if re.search("brand|logo", c, re.I) for i in names}
            used = matched = 0
            for icon, body in icons.items():
                if body.get("hidden") or icon in logos:
                    continue
                if rule["kind"] == "emoji":
                    if (set_name, icon) in toned or re.search(r"skin-tone|-tone\d", icon):
                        continue
                    stem = re.sub(r"-\d$", "", icon) if set_name == "streamline-emojis" else icon
                    joined = stem.replace("-", "")
                    options = [joined, re.sub(r"side$", "", joined), joined + "face", re.sub(r"face$", "", joined)]
                    code = by_name.get((set_name, icon)) or next((slugs[o] for o in options if o in slugs), None)
                    if code in emoji:
                        entry = dict(emoji[code], weight=rule.get("weight", 0) * share(emoji[code]["group"]))
                        matched += 1
                    elif role == "train" and not re.search(r"flag|cjk|ideograph|regional|symbol|input|squared", icon):
                        name = words_of(stem) if "-" in stem else split_joined(words_of(stem), frequency)
                        if not name or re.search(r"\d", name):
                            continue
                        entry = dict(concept=name, group="", label=name, aliases=[], tags=[], kinds=[])
                    else:
                        continue
                else:
                    if rule.get("keep") and not re.search(rule["keep"], icon):
                        continue
                    if rule.get("drop") and re.search(rule["drop"], icon):
                        continue
                    stem = re.sub(rule["strip"], "", icon) if rule.get("strip") else icon
                    stem = re.sub(r"-(?:alt|\d+|variant|side|one|two|three|four)$", "", stem)
                    name = words_of(stem)
                    parts = name.split()
                    if not parts or len(parts) > 3 or re.search(r"\d", name) or len(name) < 3:
                        continue
                    if set(parts) & UNWANTED:
                        continue
                    if set(parts) & BRANDS and not (set_name != "mdi" and name == "apple"):
                        continue
                    known = all(p in emoji_words for p in parts)
                    if set(parts) & UI_WORDS and not name.replace(" ", "") in slugs:
                        continue
                    entry = dict(concept=name, group="", label=name, aliases=[], tags=[], kinds=[])
                    code = slugs.get(name.replace(" ", ""))
                    if code and emoji[code]["label"] == name:   # same name as an emoji: the same concept
                        entry.update(concept=code, group=emoji[code]["group"], kinds=emoji[code]["kinds"])
                    same = entry["concept"] == code
                    entry["weight"] = rule["weight"] * (1.0 * share(entry["group"]) if same else 0.2 if known else 0.04)
                    matched += known
                used += 1
                entry.update(set=set_name, icon=icon, kind=rule["kind"], role=role)
                entry.setdefault("weight", rule.get("weight", 0))
                entries.append(entry)
            report[set_name] = (len(icons), used, matched)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    for name, (total, used, matched) in report.items():
        print(f"{name:28s} {total:6d} icons, {used:5d} used, {matched:5d} with emoji words")
    print(len(entries), "pictures")


if __name__ == "__main__":
    main()
