"""Manifests: what is accepted, and what a mistake is answered with."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from medrepro import locations
from medrepro.data import DataError, UnknownDataError
from medrepro.data.manifests import Source, load, names
from medrepro.data.verify import fault
from medrepro.study.card import load_card, study_ids

# Data sets and models that each study names: its paper, its open data, its small real data. Extracted by hand.
NAMED = """\
01_medical_diffusion: mrnet adni_t1 duke_breast_mri duke_breast_masks lidc_idri_ct uka_breast_mri brats_2020
    nodulemnist3d_64 ixi_t1 msd_hippocampus lidc_nodules lpips_vgg16
02_medfusion: airogs chexpert crc_msi_tiles medfusion_gan_samples chestmnist_64 pathmnist_64 retinamnist_64
    pediatric_cxr_kermany busi inception_v3_fid lpips_vgg16
03_llm_automl: pheochromocytoma_metastasis esophageal_screening hearing_loss_genes cardiac_amyloidosis_claims
    uci_heart_disease breast_cancer_wisconsin medicaldata_trials smollm2_135m hosted_language_models
04_cross_modal_linkage: mimic_cxr_jpg mimic_cxr_reports chexpert_plus openi_images openi_reports minilm clip_vit_b32
    biomedclip chexzero biovil_t imagenet_resnet
05_dinov2_init: vindr_cxr chestxray14 chexpert mimic_cxr_jpg uka_cxr padchest chestmnist_224 pneumoniamnist_224
    openi_images pediatric_cxr_kermany busi imagenet_vit dinov2_vit vit_med_weights
06_flexible_fl: vindr_cxr chestxray14 chexpert mimic_cxr_jpg uka_cxr chestmnist_128 chestmnist_224 openi_images
    pneumoniamnist_224 medicaldata_trials pediatric_cxr_kermany imagenet_resnet
07_dp_fairness: uka_cxr pdac_ct mimic_cxr_jpg chestxray14 nih_chestxray14_metadata organmnist3d_64 nodulemnist3d_64
    medicaldata_trials pneumoniamnist_rebuilt lidc_nodules pediatric_cxr_kermany mimic_resnet9
08_trabs: uka_breast_mri duke_breast_mri duke_breast_masks msd_hippocampus msd_prostate v7_lung_masks
    covid_chestxray_cohen covid19_hannover_cxr chase_db1 lidc_nodules
09_learnable_synergies: mimic_iv mimic_cxr_jpg uka_icu_multimodal lsmt_fundus pad_ufes_20 lidc_nodules imagenet_vit
10_radiorag: rsna_radioqa radiopaedia medical_qa wikipedia_articles minilm smollm2_135m gemma_3_270m qwen25_instruct
    llama_3_instruct mistral_instruct hosted_language_models
11_misinformation_edit: misinformation_facts wikipedia_articles medical_qa openi_reports minilm smollm2_135m gpt_j_6b
    gpt2 biobert_sts
12_dp_domain_transfer: vindr_cxr chestxray14 chexpert uka_cxr padchest mimic_cxr_jpg openi_images pneumoniamnist_224
    pneumoniamnist_rebuilt shenzhen_cxr montgomery_cxr medicaldata_trials mimic_resnet9
13_diffchest: mimic_cxr_jpg chexpert padchest uka_cxr chestmnist_128 pediatric_cxr_kermany diffchest_checkpoint
    neatx_drains
14_coding_agents: ham10000 derm7pt grazpedwri_dx chestxray14 neatx_drains candid_ptx dermamnist_224 chestmnist_224
    busi pediatric_cxr_kermany covid_chestxray_cohen covid19_hannover_cxr smollm2_135m
15_contrastive_adjudication: derm7pt mimic_cxr_jpg dermamnist_224 chestmnist_224 lidc_nodules qwen25_vl qwen3_vl
    gemma_3_it medgemma phi_4_multimodal glm_4v_flash medvlm_r1 hosted_language_models
16_dp_rgmi: padchest chexpert chestxray14 mimic_cxr_jpg chestmnist_224 openi_images pneumoniamnist_rebuilt
    pediatric_cxr_kermany imagenet_convnext dinov3_convnext dinov2_vit
17_dp_pretraining: mimic_cxr_jpg vindr_cxr chestxray14 chexpert padchest uka_cxr chestmnist_224 openi_images
    nih_chestxray14_metadata pediatric_cxr_kermany busi imagenet_convnext imagenet_vit dinov3_convnext dinov2_vit
18_ordinal_severity: uka_cxr retinamnist_64 retinamnist_224 knee_kl_chen lidc_nodules covid_chestxray_cohen
    imagenet_resnet
19_medicalpatchnet: chexpert chexlocalize chestxray14 nih_chestxray14_boxes chestmnist_224 pediatric_cxr_kermany
    imagenet_efficientnet_v2_s medicalpatchnet_weights
20_vlm_medfmc: medfmc chestmnist_224 pathmnist_224 retinamnist_224 nih_chestxray14_metadata openi_reports busi
    pediatric_cxr_kermany qwen25_vl gemma_3_it llama_3_instruct mistral_instruct phi_4_multimodal
21_safe_scale: radsafe_200 radiopaedia medical_qa wikipedia_articles minilm smollm2_135m gemma_3_270m qwen25_instruct
    llama_3_instruct gemma_3_it medgemma mistral_instruct deepseek gpt_oss
22_slice_transformer: duke_breast_mri lidc_idri_ct mrnet nodulemnist3d_64 organmnist3d_64 fracturemnist3d_64
    vesselmnist3d_64 lidc_nodules busi pediatric_cxr_kermany dinov2_vit
23_evidence_verification: mimic_cxr_reports radiopaedia openi_reports wikipedia_articles minilm
24_brain_mri_3d: ukbb_t1 dlbs ppmi ixi_t1 aal3_atlas
25_agentic_reliability: rsna_radioqa board_questions_65 radiopaedia medical_qa wikipedia_articles reader_studies
    minilm smollm2_135m gemma_3_270m qwen25_instruct gemma_3_it medgemma llama_3_instruct mistral_instruct
    deepseek hosted_language_models
26_semantic_entropy: vqa_med_2019_test vqa_med_2019_images diagnostic_radiology_206 reader_studies medical_qa minilm
    smollm2_135m hosted_language_models
27_dinov3_resolution: vindr_pcxr vindr_cxr chestxray14 padchest chexpert mimic_cxr_jpg uka_cxr chestmnist_64
    chestmnist_128 chestmnist_224 pneumoniamnist_224 pediatric_cxr_kermany busi chase_db1 dinov3_vit dinov3_convnext
    dinov3_vit7b16 dinov2_vit imagenet_vit imagenet_convnext
28_reporting_gaze: uka_reporting_gaze lund2013 nih_four_findings reflacx egd_cxr reader_studies covid_chestxray_cohen
    medicaldata_trials
29_label_extraction: uka_upper_extremity cologne_upper_extremity msk_label_templates openi_reports openi_images
    grazpedwri_dx fracatlas nih_four_findings minilm smollm2_135m hosted_language_models imagenet_resnet
30_diffusion_mri_attacks: adni_t1 brats_2020 fastmri ixi_t1 mri_kspace_brain pediatric_cxr_kermany
31_softmax_free: retinamnist_224 dermamnist_224 pneumoniamnist_224 chestmnist_224 pathmnist_224 breastmnist_224
    nodulemnist3d_64 busi pediatric_cxr_kermany lidc_nodules
32_fl_generalization: vindr_cxr chestxray14 chexpert mimic_cxr_jpg padchest openi_images shenzhen_cxr montgomery_cxr
    pneumoniamnist_224 medicaldata_trials imagenet_resnet imagenet_vit dinov2_vit
33_xray_to_ct: lidc_idri_ct organmnist3d_64 totalsegmentator_ct lidc_nodules lpips_vgg16
34_ccan: tcga_nsclc tcga_rcc pathmnist_224 openi_reports pediatric_cxr_kermany minilm retccl imagenet_resnet
    classical_mil
35_progression_extrapolation: oai_knees most_knees knee_kl_chen medicaldata_trials oai_stylegan2 lpips_vgg16
    imagenet_resnet kneel_landmarks
36_dual_bn_adversarial: chexpert chestxray14 rijeka_knee_mri luna16 chestmnist_64 chestmnist_128
    pneumoniamnist_rebuilt pneumoniamnist_28 pneumoniamnist_64 busi busi_masks
"""
REAL_DATA = os.environ.get("MEDREPRO_DATA")


def named() -> dict[str, set[str]]:
    rows = re.sub(r"\n +", " ", NAMED).splitlines()
    return {study: set(sets.split()) for study, sets in (row.split(": ") for row in rows)}


def test_every_manifest_of_the_project_is_valid_and_complete():
    for name in names():
        manifest = load(name)
        assert manifest.traps, f"{name} states no trap"
        assert manifest.used_by, f"{name} says nobody uses it"
        fetched = manifest.files and all(file.sources for file in manifest.files)
        assert manifest.stand_in or fetched, f"{name} does not say what is done without it"
        assert not re.search(r"/(work|home|tmp|root)/", manifest.source.read_text()), (
            f"{name} names a place of a machine"
        )


def test_all_36_studies_are_listed():
    assert [study[:2] for study in named()] == [f"{number:02d}" for number in range(1, 37)]


@pytest.mark.parametrize("study", named())
def test_everything_that_a_study_names_has_a_manifest_that_says_so(study):
    assert sorted(named()[study] - set(names())) == []
    assert [name for name in sorted(named()[study]) if study not in load(name).used_by] == []


def read_by_chapters() -> dict[str, set[str]]:
    return {study: {name for names in load_card(study).data.values() for name in names} for study in study_ids()}


def test_what_a_chapter_reads_has_a_manifest_that_says_so():
    for study, read in read_by_chapters().items():
        assert [name for name in sorted(read) if study not in load(name).used_by] == []


def test_no_manifest_names_a_study_that_names_it_nowhere():
    read = read_by_chapters()
    for name in names():
        studies = [user for user in load(name).used_by if user[:2].isdigit()]
        assert [s for s in studies if name not in named().get(s, set()) | read.get(s, set())] == [], name


def test_paths_in_the_users_folder_are_unique():
    places = [file.user_path for name in names() for file in load(name).files]
    places += [load(name).folder for name in names() if load(name).folder]
    assert sorted(p for p in set(places) if places.count(p) > 1) == []


def test_the_splits_add_up_where_the_whole_is_known():
    film = load("chestxray14").counts
    assert film["train"] + film["test"] == film["films"]
    mnist = load("chestmnist_224").counts
    assert mnist["train"] + mnist["val"] + mnist["test"] == film["films"]
    assert sum(load("busi").counts[c] for c in ("normal", "benign", "malignant")) == load("busi").counts["images"]


@pytest.mark.skipif(REAL_DATA is None, reason="MEDREPRO_DATA is not set: no files of one's own to verify")
def test_every_file_in_the_users_folder_is_as_its_manifest_says():
    found = [
        (name, file.path, fault(Path(str(REAL_DATA)) / file.user_path, file))
        for name in names()
        for file in load(name).files
        if (Path(str(REAL_DATA)) / file.user_path).exists()
    ]
    assert [row for row in found if row[2]] == []
    assert found, "the folder holds none of the files"


def test_the_manifests_are_found_beside_the_checkout():
    assert locations.manifests_dir().name == "data_manifests"


def test_an_unknown_data_set_is_answered_with_the_nearest_name(sets):
    sets.write(sets.raw())
    with pytest.raises(UnknownDataError, match="unknown data set 'sampel'; did you mean 'sample'"):
        load("sampel")


def test_an_unknown_file_of_a_data_set_is_answered_with_the_nearest_name(sets):
    with pytest.raises(UnknownDataError, match=r"sample has no file 'b.csv'; did you mean 'a.csv'"):
        load(sets.write(sets.raw())).file("b.csv")


def test_a_file_must_be_named_when_there_are_several(sets):
    raw = sets.raw()
    raw["files"].append({**raw["files"][0], "path": "b.csv"})
    with pytest.raises(UnknownDataError, match=r"sample has 2 files: name one of a.csv, b.csv"):
        load(sets.write(raw)).file()


TABLE = {"labels": {"edema": [0, 1]}, "studies": {"34_ccan": ["edema"]}}


def test_the_rules_of_a_cohorts_table_are_read(sets):
    raw = sets.raw(files=None, folder="x", layout="images", used_by=["34_ccan"])
    table = load(sets.write({**raw, "table": {**TABLE, "columns": ["age"], "splits": ["train", "test"]}})).table
    assert table.labels == {"edema": ("0", "1")}
    assert (table.columns, table.splits) == (("age",), ("train", "test"))
    assert table.studies == {"34_ccan": ("edema",)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {}}, r"table.labels: must map label columns to lists of allowed values, got \{\}"),
        ({"labels": {"edema": [0.5]}}, r"table.labels.edema: values must be whole numbers or texts, got \[0.5\]"),
        ({"labels": None}, r"table.labels: is missing"),
        ({"colums": ["age"]}, r"table.colums: unknown key; did you mean 'columns'"),
        ({"columns": ["weight"]}, r"table.columns: must be of age, sex, site, got 'weight'"),
        ({"studies": {"33_other": ["edema"]}}, r"table.studies.33_other: is not in used_by"),
        ({"studies": {"34_ccan": ["oedema"]}}, r"table.studies.34_ccan: no such label: 'oedema'; did you mean 'edema'"),
    ],
)
def test_wrong_rules_of_a_table_name_file_and_key(sets, changes, message):
    table = {key: value for key, value in {**TABLE, **changes}.items() if value is not None}
    raw = sets.raw(files=None, folder="x", layout="images", used_by=["34_ccan"], table=table)
    with pytest.raises(DataError, match="sample.yaml: " + message) as caught:
        load(sets.write(raw))
    assert "\n" not in str(caught.value)


def test_a_source_says_in_words_what_it_is():
    piece = Source(pypi="a==1", member="m")
    assert str(piece) == "m of the PyPI wheel a==1"
    assert str(Source(parts=(piece, piece))) == "2 PyPI wheels joined, the first a==1"
    assert str(Source(url="https://x.org/a")) == "https://x.org/a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lisence": "CC0"}, r"sample.yaml: lisence: unknown key; did you mean 'licence'"),
        ({"licence": None}, r"sample.yaml: licence: is missing"),
        ({"licence": ""}, r"sample.yaml: licence: must be text"),
        ({"access": "free"}, r"sample.yaml: access: must be one of open, registration, credentialed, private"),
        ({"counts": {"patients": "many"}}, r"sample.yaml: counts: must map names to whole numbers"),
        ({"traps": "one"}, r"sample.yaml: traps: must be a list"),
        ({"files": []}, r"sample.yaml: files: give either files or the user's folder, got neither"),
        ({"folder": "x"}, r"sample.yaml: files: .* got both"),
        ({"file": {"sha256": "abc"}}, r"files\[0\].sha256: must be 64 lower-case hexadecimal digits, got 'abc'"),
        ({"file": {"sha256": None}}, r"files\[0\].sha256: is missing"),
        ({"file": {"bytes": -1}}, r"files\[0\].bytes: must be a whole number of bytes"),
        ({"file": {"path": "../a.csv"}}, r"files\[0\].path: must be a relative path without '..'"),
        ({"file": {"user_path": "/etc/passwd"}}, r"files\[0\].user_path: must be a relative path"),
        ({"file": {"sha265": "0"}}, r"files\[0\].sha265: unknown key; did you mean 'sha256'"),
        ({"file": {"sources": [{"uri": "x"}]}}, r"files\[0\].sources\[0\]: must be \{url: ...\} or"),
        ({"file": {"sources": [{"url": "ftp://x"}]}}, r"sources\[0\].url: must start with https://"),
        ({"file": {"sources": [{"pypi": "pylidc", "member": "a"}]}}, r"sources\[0\].pypi: must be pinned"),
        ({"file": {"sources": [{"parts": []}]}}, r"sources\[0\].parts: must be a list of \{pypi: ..., member: ...\}"),
        ({"file": {"sources": [{"parts": [{"url": "https://x"}]}]}}, r"sources\[0\].parts: must be a list"),
        ({"file": {"sources": [{"parts": [{"pypi": "a==1"}]}]}}, r"sources\[0\].parts\[0\]: must be \{url: ...\} or"),
        ({"kind": "weights"}, r"sample.yaml: kind: must be one of data, model, got 'weights'"),
        ({"version": 3}, r"sample.yaml: version: must be text, got 3"),
        ({"since": "2020"}, r"sample.yaml: since: must be a year, got '2020'"),
        ({"used_by": ["Study 34"]}, r"sample.yaml: used_by: must name studies \(34_ccan\) .* got 'Study 34'"),
        ({"files": None, "folder": "x"}, r"sample.yaml: layout: is missing: say what the user's folder must hold"),
        ({"table": TABLE, "used_by": ["34_ccan"]}, r"sample.yaml: table: needs the user's folder"),
    ],
)
def test_a_wrong_manifest_names_file_and_key(sets, changes, message):
    name = sets.write(sets.raw(**changes))
    with pytest.raises(DataError, match=message):
        load(name)


def test_a_manifest_under_another_name_is_refused(sets):
    sets.write(sets.raw(), stem="other")
    with pytest.raises(DataError, match=r"other.yaml: name: must equal the file's name 'other', got 'sample'"):
        load("other")


def test_broken_yaml_is_one_line(sets):
    (sets.folder / "broken.yaml").write_text("name: [unclosed")
    with pytest.raises(DataError, match=r"broken.yaml: is not valid YAML") as caught:
        load("broken")
    assert "\n" not in str(caught.value)
