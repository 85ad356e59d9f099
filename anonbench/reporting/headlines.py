"""The few measures that a reader of tables meets first, and how to read them."""

HEADLINES = {
    "reid.same_latent.map": "Consistency: mAP, one latent per identity",
    "reid.permuted_latent.assigned_map": "Control: mAP, random latents, assigned identity",
    "reid.permuted_latent.map": "Residue: mAP, random latents, true identity",
    "reid.linkage.map": "Leakage: mAP, untouched against anonymized",
    "reid.loss.generator": "Lost to the generator: points of mAP",
    "reid.loss.detector": "Lost to the detector: points of mAP",
    "reid.linkage.added": "Added leakage: points of mAP, by missed detections",
    "fid.value": "Realism: Fréchet distance",
    "lpips.reconstructed": "Reconstruction: perceptual distance to the original",
    "lpips.diversity": "Diversity: perceptual distance between two latents",
    "reconstruction.other_image.surface_ratio": (
        "Reconstruction elsewhere: surface distance in another image, own / another person's latent"
    ),
    "pairs.surface_auc": "Two cameras: AUC of surface distance, one person against two",
    "pose_swap.surface_ratio": "Pose swap: surface distance, same / different latent",
    "background_swap.surface_ratio": "Background swap: surface distance, same / different latent",
    "path_length.background.gain": "Small step of the background: change of the person / of the background",
    "video.same_latent.consistency": "Video: likeness within tracks, one latent per track",
    "video.same_latent.warping_ratio": "Video: warping error, anonymized / untouched clips",
    "privacy.anonymized_query.trained_map": "Privacy: mAP of a trained attacker, untouched gallery",
    "privacy.anonymized.trained_map": "Privacy: mAP of a trained attacker, anonymized gallery",
}
"""The measures that answer the main questions, named after the question, in the headline table's order."""

GLOSSARY = {
    "reid.loss.generator": (
        "Part of the mAP lost since untouched images that people drawn by this model cost, rather than real ones."
    ),
    "reid.loss.detector": (
        "The part that crops cost which are blurred or left untouched, since their detection is imperfect. It grows"
        " with what there is to lose, so neither way is better."
    ),
    "reid.linkage.added": (
        "Leakage above that under perfect detection: whoever is not detected stays as they were."
    ),
    "reid.same_latent.map": (
        "Every image is anonymized, with one latent per identity; a re-ID network then looks for the same"
        " person in other cameras. High: one latent gives one recognizable person. Read it beside leakage:"
        " a method that leaves the original recognizable scores high too."
    ),
    "reid.permuted_latent.assigned_map": (
        "The control: each image gets the latent of a random identity and is scored against that identity."
        " High: the latent decides how the person looks."
    ),
    "reid.permuted_latent.map": (
        "The same images scored against the true identities. What stands above chance is left over from the"
        " mask, the pose and the background."
    ),
    "reid.linkage.map": (
        "Untouched queries against anonymized images. At chance: the original person cannot be found."
    ),
    "fid.value": (
        "Distance between the feature distributions of real and anonymized crops. It falls as n grows, so"
        " compare only at equal n."
    ),
    "lpips.reconstructed": (
        "Perceptual distance to the original when the latent comes from the appearance mapper."
    ),
    "lpips.diversity": (
        "Perceptual distance between two anonymizations of one crop. A constant output has none."
    ),
    "pose_swap.surface_ratio": (
        "How much the colours of the body surface change with the pose under one latent, over how much they change"
        " when the latent changes as well. Low: the latent decides, not the pose. Read it beside diversity: a"
        " constant output is perfectly consistent. Models without latents are compared between people instead."
    ),
    "background_swap.surface_ratio": "The same ratio where only the background changes.",
    "pairs.surface_auc": (
        "Probability that two images of one person from two cameras, anonymized with one latent, have more alike"
        " colours of the body surface than images of two people. 0.5 is chance. A model that paints without light"
        " and shadow can be above the untouched images."
    ),
    "reconstruction.other_image.surface_ratio": (
        "The latent is read from one image of a person and painted into another, which is compared with the real one;"
        " 1: no nearer to it than with the latent of somebody else."
    ),
    "path_length.background.gain": (
        "The background goes a small step towards another one, the latent stays. 0: the person does not change,"
        " 1: they change as much as the background. Read it beside diversity: a constant output never changes."
    ),
    "video.same_latent.consistency": (
        "Re-ID features of each frame of a tracked person against those of the frame before and of the first one."
        " The floor is the likeness of different people. Read it beside the likeness between tracks: if everybody"
        " is grey, or one and the same person, nobody changes."
    ),
    "video.same_latent.warping_ratio": (
        "What remains of the change from frame to frame when the frame before is moved along the optical flow of the"
        " untouched clip, over the same for the untouched clip. 1: as steady as the clip itself; above: texture"
        " that swims or flickers. Blur scores below 1: read it beside realism."
    ),
    "privacy.anonymized_query.trained_map": (
        "Anonymized queries against untouched images of the same people, by the strongest of several attackers that"
        " were trained on anonymized images of other people. At chance: knowing the anonymizer does not help to"
        " find who it was."
    ),
    "privacy.anonymized.trained_map": (
        "The same against anonymized images, each with a latent of its own: whether two of them show one person."
    ),
}
"""How to read the headline measures."""
