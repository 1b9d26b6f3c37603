#!/usr/bin/env python3
"""Numbers of scikit-learn that the tests of `src/probe` compare with.

    probe_values.py DIGITS

DIGITS is `data/digits.csv.gz`: pixels 0..16 and a label in each line. The first 1,000 items train, the
last 797 test; pixels are divided by 16.
"""

import sys

import numpy as np
from sklearn.calibration import _sigmoid_calibration
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

table = np.loadtxt(sys.argv[1], delimiter=",")
features, labels = table[:, :64] / 16, table[:, 64].astype(int)
train, test = features[:1000], features[1000:]
known, truth = labels[:1000], labels[1000:]

for k in 1, 5, 20:
    model = KNeighborsClassifier(k, algorithm="brute").fit(train, known)
    print(f"kNN, L2, k = {k}: {(model.predict(test) == truth).sum()} right")
targets = np.stack([known, known > 4], axis=1).astype(float)
means = KNeighborsRegressor(5, metric="cosine").fit(train, targets).predict(test)
print("kNN regression, cosine, k = 5: sums", means.sum(0), "first", means[0])

for metric in "euclidean", "cosine":
    # Of cosine: means of items of length 1, by the cosine to them.
    scale = (lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)) if metric == "cosine" else lambda x: x
    means = np.stack([scale(train)[known == c].mean(0) for c in range(10)])
    score = scale(test) @ scale(means).T if metric == "cosine" else test @ means.T - (means**2).sum(1) / 2
    print(f"nearest mean, {metric}: {(score.argmax(1) == truth).sum()} right")

for shrinkage in "auto", 0.1, 1.0, None:
    # Without shrinkage the features that are constant within all classes are taken out: `lsqr` takes
    # another solution of its singular equations, and `svd` another divisor.
    kept = np.ones(64, bool) if shrinkage else np.any([train[known == c].std(0) > 1e-12 for c in range(10)], axis=0)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(train[:, kept], known)
    loss = -model.predict_log_proba(test[:, kept])[np.arange(797), truth].mean()
    print(f"LDA, shrinkage {shrinkage}: {(model.predict(test[:, kept]) == truth).sum()} right, log-loss {loss:.12f}")
model = LinearDiscriminantAnalysis(solver="svd").fit(train, known)
print(f"LDA, svd: {(model.predict(test) == truth).sum()} right")

targets = np.where(known[:, None] == np.arange(10), 1.0, -1.0)
for strength in 0.1, 1.0, 10.0:
    model = RidgeCV([strength], store_cv_results=True).fit(train, targets)
    right = (model.predict(test).argmax(1) == truth).sum()
    print(f"ridge, lambda {strength}: {right} right, mean square left out {model.cv_results_.mean():.12f}")

margins = np.array([-2.5, -1.75, -1, -0.5, -0.25, 0.125, 0.5, 0.75, 1.5, 2, 3, -0.75])
answers = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1])
print("Platt: slope %.9f, offset %.9f" % _sigmoid_calibration(margins, answers))
